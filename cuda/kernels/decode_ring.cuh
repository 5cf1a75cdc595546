// What a warp of linear_decode has on its way: a ring of slots in shared memory, one a K tile, that goes on from one group of row
// tiles to the next, so that the memory always has work.
//
// A slot has the weights of the warp's row tiles and x, each lane's vectors where this lane alone reads them again, so that
// nobody waits for anybody; but for a vector of which lanes have a half each, which the first 16 lanes ask for. Scales and offsets of
// the groups that end in a tile come along, in a ring of their own with one slot more: they are read by all lanes, after the slot of
// their tile's weights has been asked for again. What others have asked for is there behind a sync_warp.
#pragma once
#include "grid.cuh"
#include "linear.cuh"
#include "order.cuh"

constexpr u32 TILES = PG_DECODE_TILES;
constexpr u32 SUM_FLOATS = TILES * 16 * 8;                                              // of a warp
constexpr u32 ROOM = (PG_DECODE_SHARED / LINEAR_WARPS - SUM_FLOATS * 4) / sizeof(u32x4); // vectors of a warp's ring

// entry_of is the size of an entry: of formats with super-blocks their own.
template <class F> constexpr u32 entry_of(u32 plain) {
  if constexpr (F::super) return F::entry;
  else return plain;
}

// Sizes, in vectors of 16 bytes. Few: up to PG_FEW_TOKENS tokens, whose x has 8 lanes instead of 32. Grain: a group may end after
// every so many steps; 0: no matrix of the launch has more than one group, and no lane reads what another has asked for.
template <class F, bool Few, u32 Grain> struct ring_shape {
  static_assert(!F::half || Grain != 0);
  static constexpr u32 pairs = F::features / 32, lanes = Few ? 4 * PG_FEW_TOKENS : 32;
  static constexpr u32 weights = TILES * tile_vectors<F>;

  // An entry is a row tile's scales, f32 or f16, and offsets of a group; bytes, where there are super-blocks.
  static constexpr u32 scales = F::super ? entry_of<F>(0) : F::kind == SCALED ? 2 : 4;
  static constexpr u32 entry = entry_of<F>(scales + (F::kind == SCALED ? 2 : 1));
  static constexpr u32 ends = Grain == 0 ? 0 : F::steps / (Grain == 0 ? 1 : Grain); // groups that may end in a tile
  static constexpr u32 entries = ends * TILES * entry;                           // a tile's
  static constexpr u32 rounds = (entries + 31) / 32 + (entries == 0);            // that the lanes ask in

  static constexpr u32 slots_of(u32 slot) { return (ROOM - entries) / (slot + entries); }
  // x stays out where it would leave one slot: then a tile lasts longer than a load.
  static constexpr bool x_inside = slots_of(weights + pairs * lanes) > 1;
  static constexpr u32 slot = weights + (x_inside ? pairs * lanes : 0), slots = slots_of(slot), entries_at = slots * slot;
  static_assert(slots > 1 && entries_at + (slots + 1) * entries <= ROOM);
};

// The tiles that a warp has still to ask for. The block has every grid_x()-th group of TILES row tiles, an item, of the launch;
// the warp has its part of the K tiles of each source of the item.
template <class F, bool Few, u32 Grain> struct decode_ring {
  typedef ring_shape<F, Few, Grain> S;
  Shared<u32x4> to;         // the warp's room
  bool active;              // whether the lane has a token; if not it loads no x
  u32 item;                 // that is asked for
  u32 source = 0;           // the next source of the item
  u32 left = 0;             // tiles of the source before
  Global<const u32x4> from = {}; // of which the next one's first row tile, the lane's part
  u32 apart = 0;                 // vectors from a row tile to the next
  pg_ptr x = 0;                  // and x, the lane's part
  pg_ptr waited = ~pg_ptr(0);    // the counter that was waited for last
  // Entries:
  u32 asked = 0;                                         // step to ask for next
  u32 groups = 0, group_steps = 1, inverse = 0;          // of the matrix; steps in one; 2^32 over these, rounded up
  Global<const u32x4> entry_from[S::rounds] = {};        // the lane's part of the first group's; with super-blocks: of the next tile's
  u32 entry_step[S::rounds] = {};                        // vectors from a group to the next; 0: the lane asks for none
};

// The row tiles of a block's item; behind the end the last one again, whose sums are dropped.
struct item_tiles {
  u32 tile[TILES];
};

DEVICE item_tiles tiles_of(const pg_segment &s, u32 first) {
  item_tiles t;
  UNROLL for (u32 r = 0; r < TILES; r++) t.tile[r] = min(first + r, s.tiles - 1);
  return t;
}

// enter_groups finds where a matrix's entries from a K tile on are.
template <class F, bool Few, u32 Grain>
DEVICE void enter_groups(decode_ring<F, Few, Grain> &r, const pg_matrix &w, const item_tiles &t, u32 k_tile) {
  typedef ring_shape<F, Few, Grain> S;
  r.asked = k_tile * F::steps;
  r.groups = w.groups;
  r.group_steps = w.group_steps;
  r.inverse = 0xffffffffu / r.group_steps + 1;
  UNROLL for (u32 j = 0; j < S::rounds; j++) {
    u32 i = j * 32 + lane_id(), of = i / S::entry % TILES, v = i % S::entry;
    u64 first = u64(of ? t.tile[TILES - 1] : t.tile[0]) * w.groups;
    u32 scales = F::super ? S::entry : w.scale_f32 ? 4 : 2, offsets = S::entry - S::scales;
    pg_ptr scales_at = w.scales, offsets_at = w.offsets;
    if (v < S::scales) {
      r.entry_step[j] = v < scales ? scales : 0;
      r.entry_from[j] = global<const u32x4>(scales_at) + (first * scales + v);
    } else {
      r.entry_step[j] = offsets_at ? offsets : 0;
      r.entry_from[j] = global<const u32x4>(offsets_at) + (first * offsets + (v - S::scales));
    }
    if (i >= S::entries) r.entry_step[j] = 0;
    // Super-blocks are whole tiles, or tiles whole super-blocks: nothing is padding, and groups follow one another.
    if constexpr (F::super) r.entry_from[j] = r.entry_from[j] + (k_tile * S::ends + i / (TILES * S::entry)) * S::entry;
  }
}

// next_source moves to the next source of which the warp has tiles, and returns whether there is one. If it has to be waited for, it
// is waited for, or, without `wait`, not entered.
template <class F, bool Few, u32 Grain> DEVICE bool next_source(decode_ring<F, Few, Grain> &r, const pg_linear_args &a, bool wait) {
  while (r.item < a.items) {
    linear_block b = find_block(a, r.item, TILES);
    const pg_segment &s = a.segment[b.segment];
    if (r.source == s.sources) {
      r.item += grid_x();
      r.source = 0;
      continue;
    }
    const pg_source &source = s.source[r.source];
    const pg_matrix &w = source.w;
    share part = warp_part(w.k_tiles);
    if (part.begin == part.end) {
      r.source++;
      continue;
    }
    if (source.ready != r.waited) {
      if (!wait) return false;
      wait_count_warp(source.ready, source.blocks);
      r.waited = source.ready;
    }
    r.source++;
    const item_tiles t = tiles_of(s, b.tile);
    r.left = part.end - part.begin;
    r.from = global<const u32x4>(w.codes) + ((u64(t.tile[0]) * w.k_tiles + part.begin) * tile_vectors<F> + lane_id());
    r.apart = (t.tile[TILES - 1] - t.tile[0]) * w.k_tiles * tile_vectors<F>;
    r.x = source.x + (u64(part.begin) * (F::features / 32) * 32 + lane_id()) * sizeof(u32x4);
    if constexpr (Grain != 0) enter_groups(r, w, t, part.begin);
    return true;
  }
  return false;
}

// group_at returns the group of a step. Exact: steps times group_steps is far below 2^32.
template <class F, bool Few, u32 Grain> DEVICE u32 group_at(const decode_ring<F, Few, Grain> &r, u32 step) {
  return r.group_steps == 1 ? step : u32(u64(step) * r.inverse >> 32);
}

// ask_entries asks for the entries of a tile's groups into a slot; behind the last group, where features are padding, zeros.
template <class F, bool Few, u32 Grain> DEVICE void ask_entries(decode_ring<F, Few, Grain> &r, u32 slot) {
  typedef ring_shape<F, Few, Grain> S;
  if constexpr (F::super) {
    UNROLL for (u32 j = 0; j < S::rounds; j++) {
      if (r.entry_step[j]) cp_async16(r.to + (S::entries_at + slot * S::entries + j * 32 + lane_id()), r.entry_from[j]);
      r.entry_from[j] = r.entry_from[j] + S::ends * S::entry;
    }
    return;
  }
  UNROLL for (u32 j = 0; j < S::rounds; j++) {
    u32 i = j * 32 + lane_id(), group = group_at(r, r.asked + i / (TILES * S::entry) * Grain);
    bool there = group < r.groups;
    if (r.entry_step[j])
      cp_async16(r.to + (S::entries_at + slot * S::entries + i), r.entry_from[j] + (there ? u64(group) * r.entry_step[j] : 0), there);
  }
  r.asked += F::steps;
}

template <class F, bool Few, u32 Grain> DEVICE void ask_weights(decode_ring<F, Few, Grain> &r, u32 slot) {
  typedef ring_shape<F, Few, Grain> S;
  UNROLL for (u32 i = 0; i < TILES; i++) {
    UNROLL for (u32 v = 0; v < F::vectors; v++) {
      if (F::half && v == F::vectors - 1 && lane_id() >= 16) break;
      cp_async16(r.to + (slot * S::slot + i * tile_vectors<F> + v * 32 + lane_id()), r.from + (u64(i) * r.apart + v * 32));
    }
  }
  r.from = r.from + tile_vectors<F>;
}

template <class S> DEVICE void ask_x(Shared<u32x4> to, pg_ptr x) {
  Global<const u32x4> from = global<const u32x4>(x);
  UNROLL for (u32 q = 0; q < S::pairs; q++) cp_async16(to + q * S::lanes, from + q * 32);
}

// x_place is where a lane's x of a slot lies.
template <class F, bool Few, u32 Grain> DEVICE Shared<u32x4> x_place(const decode_ring<F, Few, Grain> &r, u32 slot) {
  typedef ring_shape<F, Few, Grain> S;
  return r.to + (slot * S::slot + S::weights + lane_id());
}

// ask_tile asks for the next tile into a slot, and its entries into theirs.
template <class F, bool Few, u32 Grain> DEVICE void ask_tile(decode_ring<F, Few, Grain> &r, const pg_linear_args &a, u32 slot, u32 entry_slot) {
  typedef ring_shape<F, Few, Grain> S;
  if (r.left == 0 && !next_source(r, a, true)) return;
  ask_weights(r, slot);
  if constexpr (Grain != 0) ask_entries(r, entry_slot);
  if constexpr (S::x_inside) {
    if (r.active) ask_x<S>(x_place(r, slot), r.x);
    r.x += S::pairs * 32 * sizeof(u32x4);
  }
  r.left--;
}

// begin_ring asks for the first tiles: weights, which are always there, then x, which has to be waited for; meanwhile a lane keeps
// in the place of each x where it comes from. Every thread of the block calls it. (Bringing more tiles to the L2 cache meanwhile, 2 or
// 4 times as many, made decoding 15 to 24 % slower on an H100.)
template <class F, bool Few, u32 Grain> DEVICE void begin_ring(decode_ring<F, Few, Grain> &r, const pg_linear_args &a) {
  typedef ring_shape<F, Few, Grain> S;
  const pg_source &first = a.segment[find_block(a, block_x(), TILES).segment].source[0];
  u32 n = 0; // tiles whose x is there with that of the first source
  r.waited = first.ready;
  ROLLED while (n < S::slots) {
    if (r.left == 0 && !next_source(r, a, false)) break;
    ask_weights(r, n);
    if constexpr (Grain != 0) ask_entries(r, n);
    if constexpr (S::x_inside) {
      if (r.active) cast<pg_ptr>(x_place(r, n))[0] = r.x;
      r.x += S::pairs * 32 * sizeof(u32x4);
    }
    r.left--;
    n++;
  }
  cp_async_commit();
  wait_count(first.ready, first.blocks);
  ROLLED for (u32 i = 0; i < S::slots; i++) {
    if (i >= n) {
      ask_tile(r, a, i, i);
    } else if (S::x_inside && r.active) {
      Shared<u32x4> to = x_place(r, i);
      ask_x<S>(to, cast<const pg_ptr>(to)[0]);
    }
    cp_async_commit();
  }
}
