// The end of a block of linear_prefill on compute capability 9.0: from sums in shared memory to the segment's output.
#pragma once
#include "linear.cuh"

// Sums are [PG_HOPPER_TOKENS][HOPPER_STRIDE]: 128 rows of a token, then 4 for padding. When a warp writes them, 8 rows of every other
// one of 8 tokens at a time, each lane meets another bank.
constexpr u32 HOPPER_STRIDE = PG_PREFILL_TILES * 16 + 4, HOPPER_SUMS = PG_HOPPER_TOKENS * HOPPER_STRIDE;

DEVICE float sum_biases(const pg_segment &s, u32 row) { return add_biases(s, row, 0.0f); }

// finish_rows stores or adds. A warp has 32 rows and every other token, and loads 16 tokens at once, ahead of its stores, which
// they could alias for all that the compiler knows.
DEVICE void finish_rows(const pg_segment &s, u32 tile, u32 first, u32 tokens, Shared<const float> sums) {
  constexpr u32 Batch = 16, Chunks = PG_PREFILL_TILES * 16 / 32, Step = LINEAR_WARPS / Chunks;
  const u32 in_block = warp_id() % Chunks * 32 + lane_id(), row = tile * 16 + in_block;
  if (row >= s.source[0].w.rows) return;
  const bool add = s.epilogue == PG_ADD;
  const float bias = sum_biases(s, row);
  Global<float> out = global<float>(s.out) + (u64(first) * s.out_stride + row);
  for (u32 token = warp_id() / Chunks; token < tokens; token += Batch * Step) {
    float old[Batch];
    UNROLL for (u32 i = 0; i < Batch; i++) {
      u32 t = token + i * Step;
      old[i] = add && t < tokens ? out[u64(t) * s.out_stride] : 0.0f;
    }
    UNROLL for (u32 i = 0; i < Batch; i++) {
      u32 t = token + i * Step;
      if (t < tokens) out[u64(t) * s.out_stride] = sums[t * HOPPER_STRIDE + in_block] + bias + old[i];
    }
  }
}

// finish_x writes the next x, one row tile a warp: 8 features and 4 tokens at a time, 64 bytes in a row where features have no place.
// Gated tiles have 8 features, gate and up; others 16.
DEVICE void finish_x(const pg_segment &s, u32 tile, u32 first, u32 tokens, Shared<const float> sums) {
  const bool gated = s.epilogue == PG_GATED;
  const u32 features = gated ? s.source[0].w.rows / 2 : s.source[0].w.rows, halves = gated ? 1 : 2;
  for (u32 half = 0; half < halves; half++) {
    const u32 row = half * 8 + lane_id() % 8, in_block = warp_id() * 16 + row, feature = (tile + warp_id()) * 8 * halves + row;
    if (feature >= features) continue;
    const float bias = sum_biases(s, feature), up_bias = gated ? sum_biases(s, features + feature) : 0.0f;
    const u32 place = s.place ? global<const u32>(s.place)[feature] : feature;
    for (u32 token = lane_id() / 8; token < tokens; token += 4) {
      Shared<const float> y = sums + (token * HOPPER_STRIDE + in_block);
      float v = gated ? silu(y[0] + bias) * (y[8] + up_bias) : gelu(y[0] + bias);
      write_x({s.out, 0, s.out_stride, PG_CORES}, first + token, place, v);
    }
  }
}

DEVICE void finish_hopper(const pg_segment &s, u32 tile, u32 first, u32 tokens, Shared<const float> sums) {
  if (s.epilogue == PG_GELU || s.epilogue == PG_GATED)
    finish_x(s, tile, first, tokens, sums);
  else
    finish_rows(s, tile, first, tokens, sums);
}
