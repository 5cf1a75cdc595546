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
#include "formats.cuh"

constexpr u32 NONE = ~0u, REPACK_THREADS = 256;

// A row of the source: part of a GPTQ matrix and its column, or a row of source[0].
struct source_row {
  u32 part, row;
};

// The rows of a tile of the row formats; NONE is padding.
DEVICE source_row stored_row(const pg_repack_args &a, u32 row) {
  u32 n = row - a.first_tile * 16;
  return {0, n < a.source_rows ? n : NONE};
}

// The rows of GPTQ, through the row table.
DEVICE source_row stored_column(const pg_repack_args &a, u32 row) {
  u32 v = a.row_table ? u32(global<const u32>(a.row_table)[row]) : row;
  if (v == NONE || (!a.row_table && row >= a.stored[0])) return {0, NONE};
  return {v >> 30, v & 0x3fffffff};
}

DEVICE u32 source_feature(const pg_repack_args &a, u32 k) {
  if (a.k_table) return global<const u32>(a.k_table)[k];
  return k < a.in ? k : NONE;
}

// A Source says which row of it is row n of the matrix, and what is stored of feature k of such a row.
template <class T> struct dense_source {
  DEVICE source_row row(const pg_repack_args &a, u32 n) { return stored_row(a, n); }
  DEVICE u32 stored(const pg_repack_args &a, source_row r, u32 k) { return global<const T>(a.source[0])[u64(r.row) * a.in + k]; }
};

// Blocks of 32 weights: Header bytes, then 16 bytes of nibbles, weight j in the low half of byte j and j+16 in the high one.
template <u32 Header> struct nibble_source {
  static constexpr u32 bytes = Header + 16;
  DEVICE source_row row(const pg_repack_args &a, u32 n) { return stored_row(a, n); }
  DEVICE u32 stored(const pg_repack_args &a, source_row r, u32 k) {
    u64 block = (u64(r.row) * (a.in / 32) + k / 32) * bytes;
    u32 v = global<const u8>(a.source[0])[block + Header + k % 16];
    return k % 32 < 16 ? v & 15 : v >> 4;
  }
};

// Blocks of 32 int8; the code is 128 more, so that it is not negative.
struct byte_source {
  static constexpr u32 bytes = 34;
  DEVICE source_row row(const pg_repack_args &a, u32 n) { return stored_row(a, n); }
  DEVICE u32 stored(const pg_repack_args &a, source_row r, u32 k) {
    u64 block = (u64(r.row) * (a.in / 32) + k / 32) * bytes;
    return u32(global<const u8>(a.source[0])[block + 2 + k % 32]) ^ 0x80;
  }
};

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

// repack_vector writes one vector. Padding becomes code 0.
template <class F, class Source> DEVICE void repack_vector(const pg_repack_args &a) {
  const pg_matrix &w = a.w;
  u64 in_tile = u64(w.k_tiles) * F::vectors * 32, i = u64(block_x()) * REPACK_THREADS + thread_x();
  if (i >= a.tiles * in_tile) return;
  u32 tile = a.first_tile + u32(i / in_tile), rest = u32(i % in_tile);
  u32 lane = rest % 32, vector = rest / 32 % F::vectors, k_tile = rest / (32 * F::vectors);
  source_row rows[2];
  UNROLL for (u32 h = 0; h < 2; h++) rows[h] = Source::row(a, tile * 16 + lane / 4 + 8 * h);
  u32x4 out = {0, 0, 0, 0};
  for (u32 word = 0; word < 4; word++) {
    u32 bits = 0;
    for (u32 n = 0; n < F::slots(vector); n++) {
      weight_slot slot = F::slot(vector, word, n);
      source_row r = slot.j / 2 % 2 ? rows[1] : rows[0];
      u32 k = source_feature(a, k_tile * F::features + 16 * slot.step + 2 * (lane % 4) + slot.j % 2 + slot.j / 4 * 8);
      if (r.row != NONE && k != NONE) bits |= F::part(vector, Source::stored(a, r, k)) << slot.bit;
    }
    out.x = word == 0 ? bits : out.x;
    out.y = word == 1 ? bits : out.y;
    out.z = word == 2 ? bits : out.z;
    out.w = word == 3 ? bits : out.w;
  }
  store16(global<u32x4>(w.codes) + (u64(tile) * in_tile + rest), out);
}

// One scale (zero point, minimum) of the repacked matrix: its index, and what it is of.
struct grid_place {
  u64 at;
  u32 row, group;
  bool there; // else: behind the last
};

DEVICE grid_place place_in_grid(const pg_repack_args &a) {
  u64 i = u64(block_x()) * REPACK_THREADS + thread_x(), in_tile = u64(a.w.groups) * 16;
  u32 tile = a.first_tile + u32(i / in_tile), rest = u32(i % in_tile);
  return {u64(tile) * in_tile + rest, tile * 16 + rest % 16, rest / 16, i < a.tiles * in_tile};
}

// repack_half copies the f16 at byte `From` of each block to the scales, or the minima. Padding rows get 0.
template <class Source, u32 From> DEVICE void repack_half(const pg_repack_args &a, pg_ptr to) {
  grid_place p = place_in_grid(a);
  if (!p.there) return;
  source_row r = stored_row(a, p.row);
  u32 v = 0;
  if (r.row != NONE) {
    Global<const u8> block = global<const u8>(a.source[0]) + ((u64(r.row) * (a.in / 32) + p.group) * Source::bytes + From);
    v = u32(block[0]) | u32(block[1]) << 8;
  }
  global<u16>(to)[p.at] = u16(v);
}

DEVICE void repack_gptq_scale(const pg_repack_args &a) {
  grid_place p = place_in_grid(a);
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
  grid_place p = place_in_grid(a);
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
