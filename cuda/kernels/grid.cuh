// Scales, zero points and minima of a repacked matrix.
#pragma once
#include "formats.cuh"

// grid_at returns the index of a row's scale.
DEVICE u64 grid_at(const pg_matrix &w, u32 row, u32 group) { return (u64(row / 16) * w.groups + group) * 16 + row % 16; }

// load_scale returns a scale as it is stored: f32 bits, or f16 bits.
DEVICE u32 load_scale(const pg_matrix &w, u64 at) {
  if (w.scale_f32) return global<const u32>(w.scales)[at];
  return global<const u16>(w.scales)[at];
}
DEVICE float scale_value(const pg_matrix &w, u32 scale) {
  float half = from_f16(u16(scale)); // before the choice, so that it needs no branch
  return w.scale_f32 ? bits_to_f32(scale) : half;
}

// load_offset returns a minimum in f16 bits, or a zero point.
template <class F> DEVICE u32 load_offset(const pg_matrix &w, u64 at) {
  if (F::kind == SCALED) return global<const u16>(w.offsets)[at];
  if (w.offsets) return global<const u8>(w.offsets)[at];
  return w.zero;
}

// load_entry returns a lane's entry of a group; behind the last group, where features are padding, scales of 0.
template <class F> DEVICE grid_entry load_entry(const pg_matrix &w, u32 tile, u32 group) {
  grid_entry e = {{0, 0}, {w.zero, w.zero}};
  if (group >= w.groups) return e;
  UNROLL for (u32 i = 0; i < 2; i++) {
    u64 at = grid_at(w, tile * 16 + lane_id() / 4 + 8 * i, group);
    e.scale[i] = load_scale(w, at);
    e.offset[i] = load_offset<F>(w, at);
  }
  return e;
}

// weight_f32 is quant.Matrix.Dequantize of one stored weight, rounding for rounding.
template <class F> DEVICE float weight_f32(u32 stored, float scale, u32 offset) {
  if constexpr (F::kind == DENSE)
    return F::widen(stored);
  else if constexpr (F::kind == SCALED)
    return fma(scale, float(stored), from_f16(u16(offset))); // scale·code is exact: 11 and 4 bits
  else
    return scale * float(i32(stored) - i32(offset));
}
