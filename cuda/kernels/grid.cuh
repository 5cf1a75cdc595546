// Scales, zero points and minima of a repacked matrix.
#pragma once
#include "formats_gguf.cuh"

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

// load_super returns the f16 scales of a row's super-block: d in the low half; of formats with minima e in the high one.
template <class F> DEVICE u32 load_super(const pg_matrix &w, u32 row, u32 super) {
  u64 at = (u64(row / 16) * (w.groups * F::grain / 16) + super) * 16 + row % 16;
  if (F::kind == SCALED) return global<const u32>(w.supers)[at];
  return global<const u16>(w.supers)[at];
}

// What grid_entry has of one row.
struct row_entry {
  u32 scale, offset;
};

template <class F> DEVICE row_entry load_row(const pg_matrix &w, u32 row, u32 group) {
  if constexpr (F::super) {
    Global<const u8> entry = global<const u8>(w.scales) + (u64(row / 16) * w.groups + group) * 16 * F::entry;
    u32 v = entry[group_byte<F>(row, 0)], scales = load_super<F>(w, row, group * F::grain / 16);
    if (F::entry == 2) v |= u32(entry[group_byte<F>(row, 1)]) << 8;
    row_entry e = {f32_to_bits(from_f16(u16(scales)) * float(i32(F::scale_of(v)) - i32(F::bias))), w.zero};
    if (F::kind == SCALED) e.offset = f32_to_bits(-(from_f16(u16(scales >> 16)) * float(F::minimum_of(v))));
    return e;
  } else {
    u64 at = grid_at(w, row, group);
    return {load_scale(w, at), load_offset<F>(w, at)};
  }
}

// load_entry returns a lane's entry of a group; behind the last group, where features are padding, scales of 0.
template <class F> DEVICE grid_entry load_entry(const pg_matrix &w, u32 tile, u32 group) {
  grid_entry e = {{0, 0}, {w.zero, w.zero}};
  if (group >= w.groups) return e;
  UNROLL for (u32 i = 0; i < 2; i++) {
    row_entry r = load_row<F>(w, tile * 16 + lane_id() / 4 + 8 * i, group);
    e.scale[i] = r.scale;
    e.offset[i] = r.offset;
  }
  return e;
}

// minimum_value is a minimum of a format that has them.
template <class F> DEVICE float minimum_value(u32 offset) { return F::super ? bits_to_f32(offset) : from_f16(u16(offset)); }

// weight_f32 is quant.Matrix.Dequantize of one stored weight, rounding for rounding.
template <class F> DEVICE float weight_f32(u32 stored, float scale, u32 offset) {
  if constexpr (F::kind == DENSE)
    return F::widen(stored);
  else if constexpr (F::kind == SCALED)
    return fma(scale, float(stored), minimum_value<F>(offset)); // scale·code is exact
  else
    return scale * float(i32(stored) - i32(offset));
}
