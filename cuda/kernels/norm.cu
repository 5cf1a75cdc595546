// norm: LayerNorm or RMSNorm of a token, written as input of up to PG_NORM_OUTPUTS matrices; activate: silu(gate)·up where the
// two stand in different matrices. Oracle: norm and the gated branch of model/oracle.
//
// Both are latency, not bandwidth (40B: 32 KiB in, 160 KiB of weights, 16 KiB out twice, a token). All loads of a row are under
// way at once and the row stays in registers. One block alone would wait for its weights for 50 µs, so for few tokens several
// blocks compute the same statistics and each writes its slice. While decoding most rows come with their statistics: norm_decode.
#include "activation.cuh"
#include "math.cuh"
#include "order.cuh"
#include "reduce.cuh"

// Elements of a row that a thread keeps, and of these how many it writes at a time. Those behind held·256 are read again in
// every pass. AHEAD: outputs whose first batch is under way before the row.
constexpr u32 held = 32, batch = 4, THREADS = 256, AHEAD = 2;

// What a batch of one output needs besides the row: the elements k + i·256, those behind the end being the last.
struct norm_batch {
  float weight[batch], bias[batch];
  u32 place[batch];
};

DEVICE norm_batch load_batch(const pg_norm_args &a, const pg_norm_output &out, u32 k) {
  norm_batch b;
  UNROLL for (u32 i = 0; i < batch; i++) {
    u32 at = min(k + i * THREADS, a.hidden - 1);
    b.weight[i] = global<const float>(out.weight)[at];
    b.bias[i] = out.bias ? global<const float>(out.bias)[at] : 0.0f;
    b.place[i] = out.place ? global<const u32>(out.place)[at] : at;
  }
  return b;
}

// write_batch writes a batch, v before weight and bias. Cores: x has the form PG_CORES; decoding passes by its arithmetic.
template <bool Cores>
DEVICE void write_batch_as(const pg_norm_args &a, const pg_norm_output &out, u32 token, u32 k, const float *v, const norm_batch &b) {
  const u32 form = Cores ? PG_CORES : a.form == PG_FLOATS ? PG_FLOATS : PG_FRAGMENTS;
  UNROLL for (u32 i = 0; i < batch; i++)
    if (k + i * THREADS < a.hidden) write_x({out.x, 0, out.features, form}, token, b.place[i], v[i] * b.weight[i] + b.bias[i]);
}

DEVICE void write_batch(const pg_norm_args &a, const pg_norm_output &out, u32 token, u32 k, const float *v, const norm_batch &b) {
  if (a.form == PG_CORES)
    write_batch_as<true>(a, out, token, k, v, b);
  else
    write_batch_as<false>(a, out, token, k, v, b);
}

// write_norm writes a batch to every output. All loads of an output come before its stores, which they could alias for all that
// the compiler knows: the thread waits for memory once a batch, not once an element.
DEVICE void write_norm(const pg_norm_args &a, u32 token, u32 k, const float *v) {
  for (u32 o = 0; o < a.outputs; o++) write_batch(a, a.output[o], token, k, v, load_batch(a, a.output[o], k));
}

// norm: y = (v − mean)/sqrt(variance + eps)·weight + bias, RMSNorm with a mean of 0; f32, two passes, so that a mean far
// from 0 costs no digits. Grid (tokens, slices): block s of a token writes every slices-th batch of 4·256 features.
KERNEL(norm, pg_norm_args, 256) {
  SHARED(float, sums, 32);
  SHARED(float, squares, 32);
  const u32 token = block_x(), first = thread_x(), hidden = a.hidden;
  const Global<const float> in = global<const float>(a.in) + u64(token) * hidden;
  // Of its first batch a block loads everything but the row before the row is there.
  let_next_begin();
  const u32 mine = first + block_y() * batch * THREADS;
  norm_batch ahead[AHEAD];
  UNROLL for (u32 o = 0; o < AHEAD; o++) ahead[o] = load_batch(a, a.output[min(o, a.outputs - 1)], mine);
  wait_for_previous();
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
  UNROLL for (u32 i = 0; i < held; i += batch) {
    if (i / batch % grid_y() != block_y()) continue;
    if (i / batch != block_y()) {
      write_norm(a, token, first + i * THREADS, v + i);
      continue;
    }
    UNROLL for (u32 o = 0; o < AHEAD; o++)
      if (o < a.outputs) write_batch(a, a.output[o], token, mine, v + i, ahead[o]);
    for (u32 o = AHEAD; o < a.outputs; o++) write_batch(a, a.output[o], token, mine, v + i, load_batch(a, a.output[o], mine));
  }
  for (u32 k = behind, n = held / batch; k < hidden; k += batch * THREADS, n++) {
    if (n % grid_y() != block_y()) continue;
    UNROLL for (u32 i = 0; i < batch; i++) v[i] = k + i * THREADS < hidden ? (in[k + i * THREADS] - mean) * scale : 0.0f;
    write_norm(a, token, k, v);
  }
}

// norm_decode: norm of up to 8 tokens that a linear_decode has just written, and of whose rows it has left the statistics: mean
// and squares of each block's n rows, which add up to those of all (Chan, Golub, LeVeque 1983):
//   mean = Σ n·mean_i / N,   Σ (x − mean)² = Σ (squares_i + n·(mean_i − mean)²).
// Grid (tokens, ceil(hidden / 256)): a thread has one feature, and everything but the row before the row is there.
KERNEL(norm_decode, pg_norm_args, 256) {
  constexpr u32 ROWS = PG_DECODE_TILES * PG_TILE_ROWS;
  SHARED(float, sums, 32);
  SHARED(float, squares, 32);
  const u32 token = block_x(), hidden = a.hidden, k = block_y() * THREADS + thread_x(), at = min(k, hidden - 1);
  let_next_begin();
  float weight[AHEAD], bias[AHEAD];
  u32 place[AHEAD];
  UNROLL for (u32 o = 0; o < AHEAD; o++) {
    const pg_norm_output &out = a.output[min(o, a.outputs - 1)];
    weight[o] = global<const float>(out.weight)[at];
    bias[o] = out.bias ? global<const float>(out.bias)[at] : 0.0f;
    place[o] = out.place ? global<const u32>(out.place)[at] : at;
  }
  wait_count(a.ready, a.blocks);
  float x = global<const float>(a.in)[u64(token) * hidden + at];
  const Global<const float> stats = global<const float>(a.stats) + u64(token) * a.blocks * 2;
  float sum = 0, square = 0, mean = 0;
  if (!a.rms) {
    for (u32 i = thread_x(); i < a.blocks; i += THREADS) sum = fma(float(min(hidden - i * ROWS, ROWS)), stats[2 * i], sum);
    mean = block_sum(sum, sums) / float(hidden);
  }
  for (u32 i = thread_x(); i < a.blocks; i += THREADS) {
    float off = stats[2 * i] - mean;
    square += fma(float(min(hidden - i * ROWS, ROWS)) * off, off, stats[2 * i + 1]);
  }
  float v = (x - mean) * (1.0f / square_root(block_sum(square, squares) / float(hidden) + a.eps));
  if (k < hidden) {
    UNROLL for (u32 o = 0; o < AHEAD; o++)
      if (o < a.outputs) write_x({a.output[o].x, 0, a.output[o].features, PG_FRAGMENTS}, token, place[o], v * weight[o] + bias[o]);
    for (u32 o = AHEAD; o < a.outputs; o++) {
      const pg_norm_output &out = a.output[o];
      float b = out.bias ? float(global<const float>(out.bias)[k]) : 0.0f;
      write_x({out.x, out.place, out.features, PG_FRAGMENTS}, token, k, v * global<const float>(out.weight)[k] + b);
    }
  }
  wait_for_previous();
}

// activate: x[place[f]] = silu(gate[f])·up[f]. Grid (blocks, tokens): the blocks share a token's features. Block up to 256.
KERNEL(activate, pg_activate_args, 256) {
  let_next_begin();
  wait_for_previous();
  const u32 token = block_y(), step = grid_x() * block_threads();
  const Global<const float> gate = global<const float>(a.gate) + u64(token) * a.ffn;
  const Global<const float> up = global<const float>(a.up) + u64(token) * a.ffn;
  for (u32 k = block_x() * block_threads() + thread_x(); k < a.ffn; k += step)
    write_x({a.x, a.place, a.features, a.form}, token, k, silu(gate[k]) * up[k]);
}
