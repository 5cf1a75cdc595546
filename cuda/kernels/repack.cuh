// What the kernels of repack.cu and repack_gguf.cu share: which row and feature of the source a weight is, and one thread's vector.
#pragma once
#include "formats_gguf.cuh"

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

// repack_vector writes one vector. Padding becomes code 0.
template <class F, class Source> DEVICE void repack_vector(const pg_repack_args &a) {
  const pg_matrix &w = a.w;
  u64 in_tile = u64(w.k_tiles) * tile_vectors<F>, i = u64(block_x()) * REPACK_THREADS + thread_x();
  if (i >= a.tiles * in_tile) return;
  u32 tile = a.first_tile + u32(i / in_tile), rest = u32(i % in_tile);
  u32 in_k_tile = rest % tile_vectors<F>, vector = in_k_tile / 32, k_tile = rest / tile_vectors<F>;
  bool halved = F::half && vector == F::vectors - 1; // of two lanes
  source_row rows[2];
  u32x4 out = {0, 0, 0, 0};
  for (u32 word = 0; word < 4; word++) {
    u32 bits = 0, lane = halved ? in_k_tile % 32 * 2 + word / 2 : in_k_tile % 32;
    if (word == 0 || halved) UNROLL for (u32 h = 0; h < 2; h++) rows[h] = Source::row(a, tile * 16 + lane / 4 + 8 * h);
    for (u32 n = 0; n < F::slots(vector); n++) {
      weight_slot slot = F::slot(vector, halved ? word % 2 : word, n);
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

// place_in_grid is the thread's scale, where rows have so many groups.
DEVICE grid_place place_in_grid(const pg_repack_args &a, u32 groups) {
  u64 i = u64(block_x()) * REPACK_THREADS + thread_x(), in_tile = u64(groups) * 16;
  u32 tile = a.first_tile + u32(i / in_tile), rest = u32(i % in_tile);
  return {u64(tile) * in_tile + rest, tile * 16 + rest % 16, rest / 16, i < a.tiles * in_tile};
}

// repack_half copies the f16 at byte `From` of each block to the scales, or the minima. Padding rows get 0.
template <class Source, u32 From> DEVICE void repack_half(const pg_repack_args &a, pg_ptr to) {
  grid_place p = place_in_grid(a, a.w.groups);
  if (!p.there) return;
  source_row r = stored_row(a, p.row);
  u32 v = 0;
  if (r.row != NONE) {
    Global<const u8> block = global<const u8>(a.source[0]) + ((u64(r.row) * (a.in / 32) + p.group) * Source::bytes + From);
    v = u32(block[0]) | u32(block[1]) << 8;
  }
  global<u16>(to)[p.at] = u16(v);
}

