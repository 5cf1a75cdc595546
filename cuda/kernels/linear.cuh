// What the matrix products share: which segment a block works on, and what happens to the sums.
#pragma once
#include "activation.cuh"
#include "grid.cuh"
#include "math.cuh"

// One block's part of a launch: segment, and its tiles from `tile` on.
struct linear_block {
  u32 segment, tile;
};

// find_block says which `tiles` row tiles of one segment are the block's, segments one after the other.
DEVICE linear_block find_block(const pg_linear_args &a, u32 block, u32 tiles) {
  linear_block b = {0, block};
  while (b.segment + 1 < a.segments) {
    u32 blocks = (a.segment[b.segment].tiles + tiles - 1) / tiles;
    if (b.tile < blocks) break;
    b.tile -= blocks;
    b.segment++;
  }
  b.tile *= tiles;
  return b;
}

DEVICE float add_biases(const pg_segment &s, u32 row, float y) {
  UNROLL for (u32 i = 0; i < PG_SOURCES; i++)
    if (s.bias[i]) y += global<const float>(s.bias[i])[row];
  return y;
}

// finish_gated ends one pair of a gated segment: gate and up of one feature.
template <bool Precise> DEVICE void finish_gated(const pg_segment &s, u32 token, u32 feature, float gate, float up) {
  u32 features = s.source[0].w.rows / 2;
  if (feature >= features) return;
  float v = silu(add_biases(s, feature, gate)) * add_biases(s, features + feature, up);
  write_x({s.out, s.place, s.out_stride, Precise ? PG_FLOATS : PG_FRAGMENTS}, token, feature, v);
}

// finish ends one output of a segment that is not gated, and returns what it wrote as f32, else 0.
template <bool Precise> DEVICE float finish(const pg_segment &s, u32 token, u32 row, float y) {
  if (row >= s.source[0].w.rows) return 0;
  y = add_biases(s, row, y);
  if (s.epilogue == PG_GELU) {
    write_x({s.out, s.place, s.out_stride, Precise ? PG_FLOATS : PG_FRAGMENTS}, token, row, gelu(y));
    return 0;
  }
  Global<float> out = global<float>(s.out) + (u64(token) * s.out_stride + row);
  if (s.epilogue == PG_ADD) y += out[0];
  out[0] = y;
  return y;
}

constexpr u32 LINEAR_WARPS = 8;

// finish_tiles adds up what the warps of a block hold of `Tiles` row tiles and 8 tokens, in their order, and ends the segment.
// sums is [warp][tile][row][token], complete; tokens is how many there are from `first` on. Rows behind the end are dropped.
// Returns what the thread wrote as f32, else 0: of token thread/(16·Tiles), in the order of rows.
template <bool Precise, u32 Tiles>
DEVICE float finish_tiles(const pg_segment &s, u32 tile, u32 first, u32 tokens, Shared<const float> sums) {
  u32 rows = s.epilogue == PG_GATED ? 8 : 16, row = thread_x() % rows, of = thread_x() / rows % Tiles, token = thread_x() / (rows * Tiles);
  if (token >= min(tokens, 8u)) return 0;
  float y = 0, up = 0;
  UNROLL for (u32 warp = 0; warp < LINEAR_WARPS; warp++) {
    Shared<const float> from = sums + ((warp * Tiles + of) * 16 + row) * 8 + token;
    y += from[0];
    if (rows == 8) up += from[64];
  }
  if (rows == 16) return finish<Precise>(s, first + token, (tile + of) * 16 + row, y);
  finish_gated<Precise>(s, first + token, (tile + of) * 8 + row, y, up);
  return 0;
}

// A warp's share of K tiles.
struct share {
  u32 begin, end;
};

// warp_part shares the K tiles of a source among the warps of a block. Every warp has part of every source, so that a source whose
// x comes later is the last that everybody works on.
DEVICE share warp_part(u32 tiles) { return {u32(u64(tiles) * warp_id() / LINEAR_WARPS), u32(u64(tiles) * (warp_id() + 1) / LINEAR_WARPS)}; }
