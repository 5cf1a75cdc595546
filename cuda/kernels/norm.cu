// norm: LayerNorm or RMSNorm of a token, written as input of up to PG_NORM_OUTPUTS matrices; activate: silu(gate)·up where the
// two stand in different matrices. Oracle: norm and the gated branch of model/oracle.
//
// Both are latency, not bandwidth (40B: 32 KiB in, 160 KiB of weights, 16 KiB out twice, a token). All loads of a row are under
// way at once and the row stays in registers. One block alone would wait for its weights for 50 µs, so while decoding several
// blocks compute the same statistics and each writes its slice.
#include "activation.cuh"
#include "math.cuh"
#include "reduce.cuh"

// Elements of a row that a thread keeps, and of these how many it writes at a time. Those behind held·256 are read again in
// every pass.
constexpr u32 held = 32, batch = 4, THREADS = 256;

// write_norm_as writes a batch, v before weight and bias, of the elements k + i·256 to every output. All loads of an output come
// before its stores, which they could alias for all that the compiler knows: the thread waits for memory once a batch, not once
// an element. Loads behind the end take the last element. Cores: x has the form PG_CORES; decoding passes by its arithmetic.
template <bool Cores> DEVICE void write_norm_as(const pg_norm_args &a, u32 token, u32 k, const float *v) {
  const u32 form = Cores ? PG_CORES : a.form == PG_FLOATS ? PG_FLOATS : PG_FRAGMENTS;
  u32 at[batch];
  UNROLL for (u32 i = 0; i < batch; i++) at[i] = min(k + i * THREADS, a.hidden - 1);
  for (u32 o = 0; o < a.outputs; o++) {
    const pg_norm_output &out = a.output[o];
    float weight[batch], bias[batch] = {};
    u32 place[batch];
    UNROLL for (u32 i = 0; i < batch; i++) weight[i] = global<const float>(out.weight)[at[i]], place[i] = at[i];
    if (out.bias) {
      UNROLL for (u32 i = 0; i < batch; i++) bias[i] = global<const float>(out.bias)[at[i]];
    }
    if (out.place) {
      UNROLL for (u32 i = 0; i < batch; i++) place[i] = global<const u32>(out.place)[at[i]];
    }
    UNROLL for (u32 i = 0; i < batch; i++)
      if (k + i * THREADS < a.hidden) write_x({out.x, 0, out.features, form}, token, place[i], v[i] * weight[i] + bias[i]);
  }
}

DEVICE void write_norm(const pg_norm_args &a, u32 token, u32 k, const float *v) {
  if (a.form == PG_CORES)
    write_norm_as<true>(a, token, k, v);
  else
    write_norm_as<false>(a, token, k, v);
}

// norm: y = (v − mean)/sqrt(variance + eps)·weight + bias, RMSNorm with a mean of 0; f32, two passes, so that a mean far
// from 0 costs no digits. Grid (tokens, slices): block s of a token writes every slices-th batch of 4·256 features.
KERNEL(norm, pg_norm_args, 256) {
  SHARED(float, sums, 32);
  SHARED(float, squares, 32);
  const u32 token = block_x(), first = thread_x(), hidden = a.hidden;
  const Global<const float> in = global<const float>(a.in) + u64(token) * hidden;
  float v[held], sum = 0, square = 0, mean = 0;
  UNROLL for (u32 i = 0; i < held; i++) v[i] = first + i * THREADS < hidden ? float(in[first + i * THREADS]) : 0.0f;
  const u32 behind = first + held * THREADS;
  if (!a.rms) {
    UNROLL for (u32 i = 0; i < held; i++) sum += v[i];
    for (u32 k = behind; k < hidden; k += THREADS) sum += in[k];
    mean = block_sum(sum, sums) / float(hidden);
  }
  UNROLL for (u32 i = 0; i < held; i++) {
    v[i] -= mean;
    if (first + i * THREADS < hidden) square = fma(v[i], v[i], square);
  }
  for (u32 k = behind; k < hidden; k += THREADS) {
    float d = in[k] - mean;
    square = fma(d, d, square);
  }
  float scale = 1.0f / square_root(block_sum(square, squares) / float(hidden) + a.eps);
  UNROLL for (u32 i = 0; i < held; i++) v[i] *= scale;
  UNROLL for (u32 i = 0; i < held; i += batch)
    if (i / batch % grid_y() == block_y()) write_norm(a, token, first + i * THREADS, v + i);
  for (u32 k = behind, n = held / batch; k < hidden; k += batch * THREADS, n++) {
    if (n % grid_y() != block_y()) continue;
    UNROLL for (u32 i = 0; i < batch; i++) v[i] = k + i * THREADS < hidden ? (in[k + i * THREADS] - mean) * scale : 0.0f;
    write_norm(a, token, k, v);
  }
}

// activate: x[place[f]] = silu(gate[f])·up[f]. Grid (blocks, tokens): the blocks share a token's features. Block up to 256.
KERNEL(activate, pg_activate_args, 256) {
  const u32 token = block_y(), step = grid_x() * block_threads();
  const Global<const float> gate = global<const float>(a.gate) + u64(token) * a.ffn;
  const Global<const float> up = global<const float>(a.up) + u64(token) * a.ffn;
  for (u32 k = block_x() * block_threads() + thread_x(); k < a.ffn; k += step)
    write_x({a.x, a.place, a.features, a.form}, token, k, silu(gate[k]) * up[k]);
}
