// norm, norm_decode, activate; see norm.cuh.
#include "norm.cuh"

KERNEL(norm, pg_norm_args, 256) {
  SHARED(float, sums, 32);
  SHARED(float, squares, 32);
  norm_row<false>(a, sums, squares);
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
