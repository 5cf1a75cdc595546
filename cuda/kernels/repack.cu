// From the bytes of a checkpoint to the layout of layout.cuh. Everything runs once, at load, on 256 threads a block.
//
//   kernel                                    writes                         threads            oracle in model/quant
//   repack_f32 _f16 _bf16 (same format)       codes                          one a vector       Matrix.Dequantize
//   repack_q4_0 → g4, q4_1 → m4, q8_0 → g8    codes                          one a vector       Matrix.Dequantize
//   repack_gptq → g2 g3 g4 g8 by `bits`       codes                          one a vector       Matrix.Codes, GPTQ.Code
//   repack_scales_q4_0 _q4_1 _q8_0            scales, f16                    one a scale        Matrix.Dequantize
//   repack_minima_q4_1                        offsets, f16                   one a minimum      Matrix.Dequantize
//   repack_scales_gptq                        scales, f16 or f32             one a scale        GPTQ.Scale
//   repack_zeros_gptq                         offsets, u8                    one a zero point   GPTQ.Zero
//
// A vector is 16 bytes; grids are the vectors (scales) of `tiles` row tiles over 256, rounded up. Each kernel reads its part of
// the source and writes its part of the matrix once: the source's words come 8 neighbouring columns at a time (GPTQ), or from
// a row's cache line that the same threads read to its end (rows).
// Zero points are written only where they differ (offsets); format g4 of Q4_0 has the zero point 8, g8 of Q8_0 128.
#include "repack.cuh"

// packed_field is value i of the 32 that Bits words hold; words are `stride` apart.
template <u32 Bits> DEVICE u32 packed_field(Global<const u32> words, u64 stride, u32 i) {
  u32 at = i * Bits, v = words[at / 32 * stride] >> (at % 32);
  if (at % 32 + Bits > 32) v |= words[(at / 32 + 1) * stride] << (32 - at % 32);
  return v & ((1u << Bits) - 1);
}

template <u32 Bits> struct gptq_source {
  DEVICE source_row row(const pg_repack_args &a, u32 n) { return stored_column(a, n); }
  DEVICE u32 stored(const pg_repack_args &a, source_row r, u32 k) {
    u64 columns = a.stored[r.part];
    return packed_field<Bits>(global<const u32>(a.source[r.part]) + (k / 32 * Bits * columns + r.row), columns, k % 32);
  }
};

DEVICE void repack_gptq_scale(const pg_repack_args &a) {
  grid_place p = place_in_grid(a, a.w.groups);
  if (!p.there) return;
  source_row r = stored_column(a, p.row);
  u64 from = u64(p.group) * a.stored[r.part] + r.row;
  if (a.scale_type == 0) {
    global<u16>(a.w.scales)[p.at] = r.row == NONE ? u16(0) : u16(global<const u16>(a.scales_source[r.part])[from]);
    return;
  }
  float v = 0;
  if (r.row != NONE)
    v = a.scale_type == 1 ? from_bf16(global<const u16>(a.scales_source[r.part])[from]) : float(global<const float>(a.scales_source[r.part])[from]);
  global<float>(a.w.scales)[p.at] = v;
}

// What GPTQModel subtracts from word i of the words that hold 32 zero points (quant.ZeroWholeWords).
template <u32 Bits> DEVICE u32 whole_word(u32 i) {
  if (Bits == 3) return i == 0 ? 0x24924924 : i == 1 ? 0x92492492 : 0x49249249;
  return Bits == 2 ? 0x55555555 : Bits == 4 ? 0x11111111 : 0x01010101;
}

// stored_zero is quant.GPTQ.Zero of a column: rule 0 one more than the field (not masked with 3 bits), 1 the field, 2 the
// field of the words with whole_word added. words: the first of the Bits words of the column's 32.
template <u32 Bits> DEVICE u32 stored_zero(Global<const u32> words, u32 i, u32 rule) {
  if (rule == 2) {
    u32 at = i * Bits, v = (words[at / 32] + whole_word<Bits>(at / 32)) >> (at % 32);
    if (at % 32 + Bits > 32) v |= (words[at / 32 + 1] + whole_word<Bits>(at / 32 + 1)) << (32 - at % 32);
    return v & ((1u << Bits) - 1);
  }
  u32 z = packed_field<Bits>(words, 1, i);
  if (rule == 1) return z;
  return Bits == 3 ? z + 1 : (z + 1) & ((1u << Bits) - 1);
}

DEVICE void repack_gptq_zero(const pg_repack_args &a) {
  grid_place p = place_in_grid(a, a.w.groups);
  if (!p.there) return;
  source_row r = stored_column(a, p.row);
  u32 zero = 0;
  if (r.row != NONE) {
    u64 in_group = a.stored[r.part] / 32 * a.bits;
    Global<const u32> words = global<const u32>(a.zeros_source[r.part]) + (p.group * in_group + r.row / 32 * a.bits);
    u32 i = r.row % 32;
    zero = a.bits == 2   ? stored_zero<2>(words, i, a.zero_rule)
           : a.bits == 3 ? stored_zero<3>(words, i, a.zero_rule)
           : a.bits == 4 ? stored_zero<4>(words, i, a.zero_rule)
                         : stored_zero<8>(words, i, a.zero_rule);
  }
  global<u8>(a.w.offsets)[p.at] = u8(zero);
}

KERNEL(repack_f32, pg_repack_args, 256) { repack_vector<f32, dense_source<u32>>(a); }
KERNEL(repack_f16, pg_repack_args, 256) { repack_vector<f16, dense_source<u16>>(a); }
KERNEL(repack_bf16, pg_repack_args, 256) { repack_vector<bf16, dense_source<u16>>(a); }
KERNEL(repack_q4_0, pg_repack_args, 256) { repack_vector<g4, nibble_source<2>>(a); }
KERNEL(repack_q4_1, pg_repack_args, 256) { repack_vector<m4, nibble_source<4>>(a); }
KERNEL(repack_q8_0, pg_repack_args, 256) { repack_vector<g8, byte_source>(a); }

KERNEL(repack_gptq, pg_repack_args, 256) {
  if (a.bits == 2)
    repack_vector<g2, gptq_source<2>>(a);
  else if (a.bits == 3)
    repack_vector<g3, gptq_source<3>>(a);
  else if (a.bits == 4)
    repack_vector<g4, gptq_source<4>>(a);
  else
    repack_vector<g8, gptq_source<8>>(a);
}

KERNEL(repack_scales_q4_0, pg_repack_args, 256) { repack_half<nibble_source<2>, 0>(a, a.w.scales); }
KERNEL(repack_scales_q4_1, pg_repack_args, 256) { repack_half<nibble_source<4>, 0>(a, a.w.scales); }
KERNEL(repack_minima_q4_1, pg_repack_args, 256) { repack_half<nibble_source<4>, 2>(a, a.w.offsets); }
KERNEL(repack_scales_q8_0, pg_repack_args, 256) { repack_half<byte_source, 0>(a, a.w.scales); }
KERNEL(repack_scales_gptq, pg_repack_args, 256) { repack_gptq_scale(a); }
KERNEL(repack_zeros_gptq, pg_repack_args, 256) { repack_gptq_zero(a); }
