// linear_decode_F: y[token][row] = Σ_k w[row][k]·x[token][k] for up to 8 tokens, f16 x, f32 sums; the epilogue of the segment.
//
// Grid: one block of 256 threads a row tile, over all segments. Shared memory: 36 KiB (g3: 40).
// Reads every byte of the matrices once, and x once a block, from the caches. Oracle: quant.Matrix.Dequantize times x.
//
// At 1 to 8 tokens the time is that of reading the weights, so everything serves bytes in flight: a warp has 4 KiB of
// weights on their way, and a processor room for several blocks. They wait in shared memory, where each lane reads what it asked
// for itself (no barriers): a ring in registers needs the loop unrolled as often as it has places, which made ten times the code
// and 144 registers (one block a processor). One mma.sync a step does the sums of 8
// tokens for the price of one; codes become exact f16 integers with one instruction a pair and an addition. A group's sums are
// exact but for their f32 accumulation, and its scale multiplies them once at its end; one group costs nothing in the loop.
#pragma once
#include "linear.cuh"

// Where a warp is among the groups of a row tile: Ahead more entries are on their way.
template <class F> struct group_walk {
  static constexpr u32 Ahead = F::features >= 64 ? 1 : 2;
  grid_entry now, next[Ahead];
  typename F::levels levels;
  u32 group, left; // left: pairs of steps
};

template <class F> DEVICE void enter_groups(group_walk<F> &g, const pg_matrix &w, u32 tile, u32 pair) {
  u32 pairs = w.group_steps / 2;
  g.group = pair / pairs;
  g.left = pairs - pair % pairs;
  g.now = load_entry<F>(w, tile, g.group);
  UNROLL for (u32 i = 0; i < g.Ahead; i++) g.next[i] = load_entry<F>(w, tile, g.group + 1 + i);
  g.levels = F::make_levels(g.now);
}

template <class F> DEVICE void next_group(group_walk<F> &g, const pg_matrix &w, u32 tile) {
  g.group++;
  g.left = w.group_steps / 2;
  g.now = g.next[0];
  UNROLL for (u32 i = 0; i + 1 < g.Ahead; i++) g.next[i] = g.next[i + 1];
  g.next[g.Ahead - 1] = load_entry<F>(w, tile, g.group + g.Ahead);
  if (F::kind == SCALED || w.offsets) g.levels = F::make_levels(g.now);
}

// take_group moves a group's sums into the total.
template <class F> DEVICE void take_group(const group_walk<F> &g, const pg_matrix &w, float (&sum)[4], float (&total)[4]) {
  UNROLL for (u32 i = 0; i < 2; i++) {
    float scale = scale_value(w, g.now.scale[i]);
    UNROLL for (u32 j = 2 * i; j < 2 * i + 2; j++) {
      total[j] = fma(scale, sum[j], total[j]);
      sum[j] = 0;
    }
  }
}

// The weights of a warp on their way: tiles of the K order, each lane's vectors where this lane alone reads them again.
template <class F> struct weight_ring {
  Global<const u32x4> from; // the lane's part of tile 0
  Shared<u32x4> to;         // [in_flight][vectors][32], the lane's part
  u32 count, asked, slot;   // tiles: in all, asked for; slot of the next
};

template <class F> DEVICE void ask(weight_ring<F> &r) {
  if (r.asked < r.count)
    UNROLL for (u32 v = 0; v < F::vectors; v++)
      cp_async16(r.to + (r.slot * F::vectors + v) * 32, r.from + (u64(r.asked) * F::vectors + v) * 32);
  cp_async_commit();
  r.asked++;
}

// decode_tiles adds a share of a row tile's K tiles to total, a C fragment. Lanes of tokens that are not there are not
// active: they load no x.
template <class F, u32 Grain>
DEVICE void decode_tiles(const pg_source &source, u32 tile, share part, bool active, Shared<u32x4> room, float (&total)[4]) {
  constexpr u32 V = F::vectors, Q = F::features / 32;
  const pg_matrix &w = source.w;
  u32 count = part.end - part.begin;
  weight_ring<F> ring = {global<const u32x4>(w.codes) + ((u64(tile) * w.k_tiles + part.begin) * V * 32 + lane_id()), room + lane_id(), count, 0, 0};
  for (; ring.slot < F::in_flight; ring.slot++) ask(ring);
  Global<const u32x4> xs = global<const u32x4>(source.x) + (u64(part.begin) * Q * 32 + lane_id());
  u32x4 x[Q] = {};
  if (active) UNROLL for (u32 q = 0; q < Q; q++) x[q] = load16(xs + q * 32);
  group_walk<F> groups;
  if constexpr (F::kind != DENSE) enter_groups(groups, w, tile, part.begin * Q);
  float sum[4] = {};
  ring.slot = 0;
  for (u32 t = 0; t < count; t++) {
    cp_async_wait<F::in_flight - 1>();
    u32x4 now[V];
    UNROLL for (u32 v = 0; v < V; v++) now[v] = load16(ring.to + (ring.slot * V + v) * 32);
    bool more = active && t + 1 < count;
    xs = xs + Q * 32;
    UNROLL for (u32 q = 0; q < Q; q++) {
      UNROLL for (u32 h = 0; h < 2; h++) {
        u32 a[4], b[2] = {h ? x[q].z : x[q].x, h ? x[q].w : x[q].y};
        F::decode(now, 2 * q + h, groups.levels, a);
        if constexpr (F::kind == INTEGERS)
          mma_f16(sum, a, b);
        else
          mma_f16(total, a, b);
      }
      if (more) x[q] = load16(xs + q * 32);
      if constexpr (F::kind != DENSE)
        if ((q + 1) % Grain == 0 && (groups.left -= Grain) == 0) {
          if constexpr (F::kind == INTEGERS) take_group(groups, w, sum, total);
          next_group(groups, w, tile);
        }
    }
    ask(ring); // into the slot that was just read
    ring.slot = ring.slot + 1 == F::in_flight ? 0 : ring.slot + 1;
  }
  if constexpr (F::kind == INTEGERS) take_group(groups, w, sum, total);
}

template <class F> DEVICE void linear_decode(const pg_linear_args &a) {
  constexpr u32 Ring = F::in_flight * F::vectors * 32;
  SHARED(float, sums, LINEAR_WARPS * 16 * 8);
  SHARED(u32x4, rings, LINEAR_WARPS *Ring);
  Shared<u32x4> ring = rings + warp_id() * Ring;
  linear_block b = find_block(a, 1);
  const pg_segment &s = a.segment[b.segment];
  bool active = lane_id() / 4 < a.tokens;
  float total[4] = {};
  for (u32 i = 0; i < s.sources; i++) {
    share part = warp_share<LINEAR_WARPS>(s, i);
    if (part.begin >= part.end) continue;
    const pg_source &source = s.source[i];
    if constexpr (F::kind == DENSE)
      decode_tiles<F, F::grain>(source, b.tile, part, active, ring, total);
    else if (source.w.group_steps % (2 * F::grain) == 0)
      decode_tiles<F, F::grain>(source, b.tile, part, active, ring, total);
    else
      decode_tiles<F, 1>(source, b.tile, part, active, ring, total);
  }
  u32 row = lane_id() / 4, token = lane_id() % 4 * 2;
  UNROLL for (u32 i = 0; i < 4; i++) sums[(warp_id() * 16 + row + i / 2 * 8) * 8 + token + i % 2] = total[i];
  sync_block();
  finish_tile<false>(s, b.tile, 0, a.tokens, sums);
}
