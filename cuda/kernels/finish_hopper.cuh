// The end of a block of linear_prefill on compute capability 9.0: from sums in shared memory to the segment's output.
#pragma once
#include "hopper.cuh"
#include "linear.cuh"

// Sums are [tokens][HOPPER_STRIDE], with room for 12 tokens more than a block has: 128 rows of a token, then 4 for padding. When
// a warp writes them, 8 rows of every other one of 8 tokens at a time, each lane meets another bank.
constexpr u32 HOPPER_STRIDE = PG_PREFILL_TILES * 16 + 4, HOPPER_SUMS = (PG_HOPPER_TOKENS + 12) * HOPPER_STRIDE;

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

// gelu_for_f16 and silu_for_f16 are math.cuh's functions for results that become f16: a third of the instructions, and no
// branch, so that several of them overlap. By count of instructions, a block of a GELU segment would spend a fifth of its time
// in math.cuh's. NaN stays NaN; ex2.approx is off by 2^-22.5 of its result.
//
// With a = |x|/√2, erfc a = 2^(−a·Q(a)). Q is a polynomial fitted up to 4.1, which leaves erfc off by 1.6e-8; beyond 4, a is
// held. The error is at most 3.8e-7 of |x|/2.
DEVICE float gelu_for_f16(float x) {
  float a = (x < 0 ? -x : x) * 0.70710678118654752f;
  a = a > 4.0f ? 4.0f : a;
  float q = 4.535851621767506e-05f;
  q = fma(q, a, -0.000445507001131773f);
  q = fma(q, a, 0.0014894396299496293f);
  q = fma(q, a, 0.0007746327319182456f);
  q = fma(q, a, -0.02825368382036686f);
  q = fma(q, a, 0.14848162233829498f);
  q = fma(q, a, 0.9184163808822632f);
  q = fma(q, a, 1.6279085874557495f);
  float e = exp2_approx(-(q * a));
  return x * 0.5f * (x < 0 ? e : 2.0f - e);
}

// The error is at most 4.1e-7 + 7.5e-8·|x|, relative: the second is the exponent's rounding.
DEVICE float silu_for_f16(float x) { return x * reciprocal_approx(1.0f + exp2_approx(x * -LOG2_E)); }

// finish_x writes the next x, one row tile a warp: 8 features and 4 tokens at a time, 64 bytes in a row where features have no
// place. Gated tiles have 8 features, gate and up; others 16. Four results at once, whose arithmetic overlaps; sums behind the
// last token's are there, and dropped.
template <bool Gated> DEVICE void finish_x(const pg_segment &s, u32 tile, u32 first, u32 tokens, Shared<const float> sums) {
  constexpr u32 Batch = 4, Halves = Gated ? 1 : 2;
  const u32 features = s.source[0].w.rows / (Gated ? 2 : 1), begin = lane_id() / 8;
  for (u32 half = 0; half < Halves; half++) {
    const u32 row = half * 8 + lane_id() % 8, in_block = warp_id() * 16 + row;
    const u32 feature = (tile + warp_id()) * 8 * Halves + row;
    if (feature >= features) continue;
    const float bias = sum_biases(s, feature), up_bias = Gated ? sum_biases(s, features + feature) : 0.0f;
    const u32 place = s.place ? global<const u32>(s.place)[feature] : feature;
    Global<u16> x = global<u16>(s.out) + core_index(first + begin, place);
    for (u32 token = begin; token < tokens; token += 4 * Batch, x += core_index(4 * Batch, 0)) {
      float v[Batch];
      UNROLL for (u32 i = 0; i < Batch; i++) {
        Shared<const float> y = sums + ((token + 4 * i) * HOPPER_STRIDE + in_block);
        v[i] = Gated ? silu_for_f16(y[0] + bias) * (y[8] + up_bias) : gelu_for_f16(y[0] + bias);
      }
      UNROLL for (u32 i = 0; i < Batch; i++)
        if (token + 4 * i < tokens) x[core_index(4 * i, 0)] = to_f16(clamp_f16(v[i]));
    }
  }
}

DEVICE void finish_hopper(const pg_segment &s, u32 tile, u32 first, u32 tokens, Shared<const float> sums) {
  if (s.epilogue == PG_GELU)
    finish_x<false>(s, tile, first, tokens, sums);
  else if (s.epilogue == PG_GATED)
    finish_x<true>(s, tile, first, tokens, sums);
  else
    finish_rows(s, tile, first, tokens, sums);
}
