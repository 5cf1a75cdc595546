// norm: LayerNorm or RMSNorm of a token, written as input of up to PG_NORM_OUTPUTS matrices; activate: silu(gate)·up where the
// two stand in different matrices. Oracle: norm and the gated branch of model/oracle.
//
// Both are latency, not bandwidth (40B: 32 KiB in, 16 KiB out a token): a block has up to 512 threads so that all loads of a
// row are under way at once, and a row stays in registers between the passes.
#include "activation.cuh"
#include "math.cuh"
#include "reduce.cuh"

// Elements of a row that a thread keeps, and how many of them it loads weights for at a time. Elements behind held·threads
// (8192 with 512 threads) are read again in every pass.
constexpr u32 held = 16, batch = 8;

// write_norm writes a batch of a thread's elements, k0 + i·step below hidden, to one output. All loads come first: the stores
// could alias them, and the thread would wait for memory at each.
DEVICE void write_norm(const pg_norm_args &a, const pg_norm_output &out, u32 token, u32 k0, u32 step, const float *v) {
  float y[batch];
  u32 place[batch];
  UNROLL for (u32 i = 0; i < batch; i++) {
    u32 k = k0 + i * step;
    if (k >= a.hidden) continue;
    y[i] = v[i] * global<const float>(out.weight)[k];
    if (out.bias) y[i] += global<const float>(out.bias)[k];
    place[i] = out.place ? global<const u32>(out.place)[k] : k;
  }
  UNROLL for (u32 i = 0; i < batch; i++)
    if (k0 + i * step < a.hidden) write_x({out.x, 0, out.features, a.precise}, token, place[i], y[i]);
}

// norm: y = (v − mean)/sqrt(variance + eps)·weight + bias, RMSNorm with a mean of 0; f32, two passes, so that a mean far
// from 0 costs no digits. Grid (tokens), block any number of whole warps up to 512.
KERNEL(norm, pg_norm_args, 512) {
  SHARED(float, sums, 32);
  SHARED(float, squares, 32);
  const u32 token = block_x(), first = thread_x(), threads = block_threads(), hidden = a.hidden;
  const Global<const float> in = global<const float>(a.in) + u64(token) * hidden;
  float v[held], sum = 0, square = 0, mean = 0;
  UNROLL for (u32 i = 0; i < held; i++) v[i] = first + i * threads < hidden ? float(in[first + i * threads]) : 0.0f;
  const u32 behind = first + held * threads;
  if (!a.rms) {
    UNROLL for (u32 i = 0; i < held; i++) sum += v[i];
    for (u32 k = behind; k < hidden; k += threads) sum += in[k];
    mean = block_sum(sum, sums) / float(hidden);
  }
  UNROLL for (u32 i = 0; i < held; i++) {
    v[i] -= mean;
    if (first + i * threads < hidden) square = fma(v[i], v[i], square);
  }
  for (u32 k = behind; k < hidden; k += threads) {
    float d = in[k] - mean;
    square = fma(d, d, square);
  }
  float scale = 1.0f / square_root(block_sum(square, squares) / float(hidden) + a.eps);
  UNROLL for (u32 i = 0; i < held; i++) v[i] *= scale;
  for (u32 o = 0; o < a.outputs; o++) {
    UNROLL for (u32 i = 0; i < held; i += batch) write_norm(a, a.output[o], token, first + i * threads, threads, v + i);
    for (u32 k = behind; k < hidden; k += threads) {
      float y[batch] = {(in[k] - mean) * scale};
      write_norm(a, a.output[o], token, k, hidden, y);
    }
  }
}

// activate: x[place[f]] = silu(gate[f])·up[f]. Grid (blocks, tokens): the blocks share a token's features. Block up to 256.
KERNEL(activate, pg_activate_args, 256) {
  const u32 token = block_y(), step = grid_x() * block_threads();
  const Global<const float> gate = global<const float>(a.gate) + u64(token) * a.ffn;
  const Global<const float> up = global<const float>(a.up) + u64(token) * a.ffn;
  for (u32 k = block_x() * block_threads() + thread_x(); k < a.ffn; k += step)
    write_x({a.x, a.place, a.features, a.precise}, token, k, silu(gate[k]) * up[k]);
}
