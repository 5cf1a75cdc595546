// linear_decode_F: y[token][row] = Σ_k w[row][k]·x[token][k] for up to 8 tokens, f16 x, f32 sums; the epilogue of the segment.
//
// Grid: one block of 256 threads for PG_DECODE_TILES row tiles, over all segments. Shared memory: PG_DECODE_SHARED.
// Reads every byte of the matrices once, and x once a block, from the caches. Oracle: quant.Matrix.Dequantize times x.
//
// At 1 to 8 tokens the time is that of reading the weights, so everything serves bytes in flight: a warp has 4 KiB of
// weights on their way, a multiprocessor three blocks. They wait in shared memory, where each lane reads what it asked
// for itself (no barriers), and so does x but for g3 and f32, whose tiles last longer than a load: though it comes from the L2 cache, a load of it takes a microsecond while the memory is
// busy, which is all the time that a warp has for a tile. One mma.sync a step does the sums of 8 tokens for the price of
// one, and the row tiles of a warp share its x, which has twice the bytes of 4-bit weights when there are 8 tokens.
//
// Instructions are as scarce as bytes: codes go into the tensor cores as they are, as subnormal numbers (formats.cuh). With
// w = scale·(code − zero), or scale·code + minimum, the sum of a group is
//   Σ w·x = scale·Σ code·x + offset·Σ x,   offset = −scale·zero, or minimum,
// and Σ x is one more mma.sync, with ones, for all row tiles. Products are exact; sums are f32 as they would be of decoded weights.
//
// A block asks for its first weights before the kernel ahead has finished (device.cuh, wait_for_previous), so that the memory
// has work while a norm or the attention runs.
#pragma once
#include "linear.cuh"
#include "order.cuh"
#include "reduce.cuh"

constexpr u32 TILES = PG_DECODE_TILES;
constexpr u32 SUM_BYTES = TILES * 16 * 8 * sizeof(float); // of a warp

// The sums of a warp, C fragments: of a row tile's codes with x in the group that it is in, of x alone, and all before.
struct decode_sums {
  float codes[TILES][4], x[4], total[TILES][4];
};

// A grid_entry in fewer registers: the offsets, of 16 bits each, in one.
struct decode_entry {
  u32 scale[2], offsets;
};

// Where a warp is among the groups of its row tiles: Ahead more entries are on their way.
template <class F> struct group_walk {
  static constexpr u32 Ahead = F::kind == SCALED ? 2 : 1;
  decode_entry now[TILES], next[Ahead][TILES];
  u32 group, left; // left: pairs of steps
};

template <class F> DEVICE void load_entries(const pg_matrix &w, const u32 (&tile)[TILES], u32 group, decode_entry (&to)[TILES]) {
  UNROLL for (u32 r = 0; r < TILES; r++) {
    grid_entry e = load_entry<F>(w, tile[r], group);
    to[r] = {{e.scale[0], e.scale[1]}, e.offset[0] | e.offset[1] << 16};
  }
}

template <class F> DEVICE void enter_groups(group_walk<F> &g, const pg_matrix &w, const u32 (&tile)[TILES], u32 pair) {
  u32 pairs = w.group_steps / 2;
  g.group = pair / pairs;
  g.left = pairs - pair % pairs;
  load_entries<F>(w, tile, g.group, g.now);
  UNROLL for (u32 i = 0; i < g.Ahead; i++) load_entries<F>(w, tile, g.group + 1 + i, g.next[i]);
}

template <class F> DEVICE void next_group(group_walk<F> &g, const pg_matrix &w, const u32 (&tile)[TILES]) {
  g.group++;
  g.left = w.group_steps / 2;
  UNROLL for (u32 r = 0; r < TILES; r++) {
    g.now[r] = g.next[0][r];
    UNROLL for (u32 i = 0; i + 1 < g.Ahead; i++) g.next[i][r] = g.next[i + 1][r];
  }
  load_entries<F>(w, tile, g.group + g.Ahead, g.next[g.Ahead - 1]);
}

// take_group moves a group's sums into the total.
template <class F> DEVICE void take_group(const group_walk<F> &g, const pg_matrix &w, decode_sums &sum) {
  constexpr float Units[2] = {16777216.0f, 16777216.0f / F::high}; // 2^24
  UNROLL for (u32 r = 0; r < TILES; r++) {
    UNROLL for (u32 i = 0; i < 2; i++) {
      float scale = scale_value(w, g.now[r].scale[i]);
      u16 offset = u16(g.now[r].offsets >> (16 * i));
      UNROLL for (u32 j = 2 * i; j < 2 * i + 2; j++) {
        float codes = sum.codes[r][j] * Units[i], &total = sum.total[r][j];
        if constexpr (F::kind == SCALED)
          total = fma(from_f16(offset), sum.x[j], fma(scale, codes, total));
        else
          total = fma(scale, fma(-float(offset), sum.x[j], codes), total);
        sum.codes[r][j] = 0;
      }
    }
  }
  UNROLL for (u32 j = 0; j < 4; j++) sum.x[j] = 0;
}

// What a warp has on its way: for each K tile a slot with the weights of its row tiles and with x, each lane's vectors where
// this lane alone reads them again.
template <class F> struct decode_ring {
  static constexpr u32 Pairs = F::features / 32, Weights = TILES * F::vectors * 32, Slot = Weights + (F::x_in_ring ? Pairs * 32 : 0); // vectors
  static constexpr u32 Bytes = PG_DECODE_SHARED / LINEAR_WARPS - SUM_BYTES;
  static_assert(F::in_flight > 1 && F::in_flight * Slot * sizeof(u32x4) <= Bytes);
  Global<const u32x4> from; // the lane's part of the first row tile's next
  u32 apart;                // vectors from a row tile to the next
  Global<const u32x4> x;    // the lane's part of the next
  bool active;              // whether the lane has a token; if not it loads no x
  Shared<u32x4> to;         // [in_flight][Slot], the lane's part
  u32 left, slot;           // tiles not asked for yet; slot of the next
};

template <class F> DEVICE void ask_weights(decode_ring<F> &r, u32 slot) {
  UNROLL for (u32 i = 0; i < TILES; i++) {
    UNROLL for (u32 v = 0; v < F::vectors; v++)
      cp_async16(r.to + (slot * r.Slot + (i * F::vectors + v) * 32), r.from + (u64(i) * r.apart + v * 32));
  }
  r.from = r.from + F::vectors * 32;
}

template <class F> DEVICE void ask_x(decode_ring<F> &r, u32 slot) {
  if constexpr (!F::x_in_ring) return;
  if (r.active) UNROLL for (u32 q = 0; q < r.Pairs; q++) cp_async16(r.to + (slot * r.Slot + r.Weights + q * 32), r.x + q * 32);
  r.x = r.x + r.Pairs * 32;
}

// begin_ring asks for the first tiles. Every warp of the block calls it for the first source. Weights are always there, x has to be waited for. (Bringing more tiles to the L2 cache
// meanwhile, 2 or 4 times as many, made decoding 15 to 24 % slower on an H100.)
template <class F> DEVICE void begin_ring(decode_ring<F> &r, const pg_source &source, bool first_source) {
  u32 first = min(r.left, F::in_flight);
  for (u32 i = 0; i < first; i++) ask_weights(r, i);
  cp_async_commit();
  r.left -= first;
  if (first_source)
    wait_count(source.ready, source.blocks);
  else
    wait_count_warp(source.ready, source.blocks);
  for (u32 i = 0; i < first; i++) ask_x(r, i);
  cp_async_commit();
}

// ask_next asks for a tile into the slot that was just read, and moves on.
template <class F> DEVICE void ask_next(decode_ring<F> &r) {
  if (r.left) {
    ask_weights(r, r.slot);
    ask_x(r, r.slot);
    r.left--;
  }
  cp_async_commit();
  r.slot = r.slot + 1 == F::in_flight ? 0 : r.slot + 1;
}

// multiply_step adds a step of 16 features.
template <class F> DEVICE void multiply_step(const u32x4 (&v)[TILES][F::vectors], u32 step, const u32 (&x)[2], decode_sums &sum) {
  if constexpr (F::kind != DENSE) {
    const u32 ones[4] = {F16_ONES, F16_ONES, F16_ONES, F16_ONES};
    mma_f16(sum.x, ones, x);
  }
  UNROLL for (u32 r = 0; r < TILES; r++) {
    u32 a[4];
    if constexpr (F::kind == DENSE) {
      F::decode(v[r], step, {}, a);
      mma_f16(sum.total[r], a, x);
    } else {
      F::codes(v[r], step, a);
      mma_f16(sum.codes[r], a, x);
    }
  }
}

// decode_tiles adds a share of the row tiles' K tiles. Grain: a group may end after every so many pairs of steps; 0: there is one
// group, or none.
template <class F, u32 Grain>
DEVICE void decode_tiles(const pg_source &source, const u32 (&tile)[TILES], share part, bool first, bool active, Shared<u32x4> room, decode_sums &sum) {
  constexpr u32 V = F::vectors, Q = F::features / 32;
  const pg_matrix &w = source.w;
  const u32 count = part.end - part.begin;
  decode_ring<F> ring = {global<const u32x4>(w.codes) + ((u64(tile[0]) * w.k_tiles + part.begin) * V * 32 + lane_id()),
                         (tile[1] - tile[0]) * w.k_tiles * V * 32,
                         global<const u32x4>(source.x) + (u64(part.begin) * Q * 32 + lane_id()),
                         active, room + lane_id(), count, 0};
  group_walk<F> groups;
  if constexpr (Grain != 0)
    enter_groups(groups, w, tile, part.begin * Q);
  else if constexpr (F::kind != DENSE)
    load_entries<F>(w, tile, 0, groups.now);
  begin_ring(ring, source, first);
  u32x4 x[Q] = {};
  if (!F::x_in_ring && active && count) UNROLL for (u32 q = 0; q < Q; q++) x[q] = load16(ring.x + q * 32);
  cp_async_wait<0>();
  for (u32 t = 0; t < count; t++) {
    Shared<const u32x4> from = ring.to + ring.slot * ring.Slot;
    u32x4 now[TILES][V];
    UNROLL for (u32 r = 0; r < TILES; r++) {
      UNROLL for (u32 v = 0; v < V; v++) now[r][v] = load16(from + (r * V + v) * 32);
    }
    if constexpr (F::x_in_ring) {
      UNROLL for (u32 q = 0; q < Q; q++) x[q] = {0, 0, 0, 0};
      if (active) UNROLL for (u32 q = 0; q < Q; q++) x[q] = load16(from + (ring.Weights + q * 32));
    }
    ask_next(ring);
    bool more = !F::x_in_ring && active && t + 1 < count;
    if constexpr (!F::x_in_ring) ring.x = ring.x + Q * 32;
    UNROLL for (u32 q = 0; q < Q; q++) {
      const u32 b[2][2] = {{x[q].x, x[q].y}, {x[q].z, x[q].w}};
      UNROLL for (u32 h = 0; h < 2; h++) multiply_step<F>(now, 2 * q + h, b[h], sum);
      if (more) x[q] = load16(ring.x + q * 32);
      if constexpr (Grain != 0)
        if ((q + 1) % Grain == 0 && (groups.left -= Grain) == 0) {
          take_group(groups, w, sum);
          next_group(groups, w, tile);
        }
    }
    cp_async_wait<F::in_flight - 1>();
  }
  if constexpr (F::kind != DENSE) take_group(groups, w, sum);
}

// write_stats writes what norm_decode wants to know of the block's outputs: warp t has those of token t, a row a lane.
DEVICE void write_stats(const pg_segment &s, u32 tile, u32 tokens, float y) {
  static_assert(TILES * 16 == 32);
  const u32 token = warp_id(), blocks = (s.tiles + TILES - 1) / TILES;
  if (token >= tokens) return;
  u32 rows = min(s.source[0].w.rows - tile * 16, 32u);
  bool there = lane_id() < rows;
  float mean = warp_sum(there ? y : 0.0f) / float(rows), off = there ? y - mean : 0.0f, squares = warp_sum(off * off);
  if (lane_id() != 0) return;
  Global<float> to = global<float>(s.stats) + (u64(token) * blocks + tile / TILES) * 2;
  to[0] = mean;
  to[1] = squares;
}

template <class F> DEVICE void linear_decode(const pg_linear_args &a) {
  DYNAMIC_SHARED(u32x4, room);
  constexpr u32 Ring = decode_ring<F>::Bytes / sizeof(u32x4);
  Shared<u32x4> ring = room + warp_id() * Ring;
  Shared<float> sums = cast<float>(room + LINEAR_WARPS * Ring);
  let_next_begin();
  linear_block b = find_block(a, TILES);
  const pg_segment &s = a.segment[b.segment];
  bool active = lane_id() / 4 < a.tokens;
  u32 tile[TILES]; // behind the end the last one again, whose sums are dropped
  UNROLL for (u32 r = 0; r < TILES; r++) tile[r] = min(b.tile + r, s.tiles - 1);
  decode_sums sum = {};
  for (u32 i = 0; i < s.sources; i++) {
    const pg_source &source = s.source[i];
    share part = warp_part(source.w.k_tiles);
    if (F::kind == DENSE || source.w.groups == 1)
      decode_tiles<F, 0>(source, tile, part, i == 0, active, ring, sum);
    else if constexpr (F::kind == DENSE) {
    } else if (source.w.group_steps % (2 * F::grain) == 0)
      decode_tiles<F, F::grain>(source, tile, part, i == 0, active, ring, sum);
    else
      decode_tiles<F, 1>(source, tile, part, i == 0, active, ring, sum);
  }
  wait_for_previous(); // warps without a share have not
  u32 row = lane_id() / 4, token = lane_id() % 4 * 2;
  UNROLL for (u32 r = 0; r < TILES; r++) {
    UNROLL for (u32 i = 0; i < 4; i++) sums[((warp_id() * TILES + r) * 16 + row + i / 2 * 8) * 8 + token + i % 2] = sum.total[r][i];
  }
  sync_block();
  float y = finish_tiles<false, TILES>(s, b.tile, 0, a.tokens, sums);
  if (s.stats) write_stats(s, b.tile, a.tokens, y);
  count_done(s.done);
}
