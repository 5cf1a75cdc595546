// The functions of ../../kernels/math.cuh, each by itself.
#pragma once
#include "../../kernels/math.cuh"

// functions: out[i] = f(in[i]), f32, any grid; `at` picks f: exp, erf, log, gelu, silu.
KERNEL(functions, pg_test_args, 256) {
  Global<const float> in = global<const float>(a.in);
  Global<float> out = global<float>(a.out);
  for (u64 i = u64(block_x()) * block_threads() + thread_x(); i < a.n; i += u64(grid_x()) * block_threads()) {
    float x = in[i];
    out[i] = a.at == 0 ? exp_f32(x) : a.at == 1 ? erf_f32(x) : a.at == 2 ? log_f32(x) : a.at == 3 ? gelu(x) : silu(x);
  }
}
