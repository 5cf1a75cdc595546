// linear_decode_F: y[token][row] = Σ_k w[row][k]·x[token][k] for up to 8 tokens, f16 x, f32 sums; the epilogue of the segment.
// linear_few_F: the same for up to PG_FEW_TOKENS tokens.
//
// Grid: as many blocks of 256 threads as run at once. They share the items of the launch, PG_DECODE_TILES row tiles each, in turn:
// block b has item b, b + grid, … Shared memory: PG_DECODE_SHARED. Reads every byte of the matrices once, and x once an item, from
// the caches. Oracle: quant.Matrix.Dequantize times x.
//
// At 1 to 8 tokens the time is that of reading the weights, so everything serves bytes in flight: a warp has 9 KiB of
// weights on their way (5 with more than two tokens), and asks for those of its next item before it has finished one
// (decode_ring.cuh). They wait in shared memory, and so does x: though it comes from the L2 cache, a load of it takes a
// microsecond while the memory is busy, which is all the time that a warp has for a tile. One mma.sync a step does the sums of 8
// tokens for the price of one, and the row tiles of a warp share its x. Registers are worth watching: where a version of
// this spilled 144 bytes of them instead of 28, at the start of a block, decoding was 11 % slower on an H100.
//
// Instructions are as scarce as bytes: codes go into the tensor cores as they are, as subnormal numbers (formats.cuh). With
// w = scale·(code − zero), or scale·code + minimum, the sum of a group is
//   Σ w·x = scale·Σ code·x + offset·Σ x,   offset = −scale·zero, or minimum,
// and Σ x is one more mma.sync, with ones, for all row tiles. Products are exact; sums are f32 as they would be of decoded weights.
// Where groups are short, scales go into the weights instead, which rounds most of them to f16 (decode_folded.cuh).
//
// A block asks for its first weights before the kernel ahead has finished (device.cuh, wait_for_previous), so that the memory
// has work while a norm or the attention runs.
#pragma once
#include "decode_folded.cuh"
#include "reduce.cuh"

// What a lane needs of a group: of its rows lane/4 and lane/4 + 8 of each row tile the scale, and the minimum or −zero.
struct group_scales {
  float scale[TILES][2], offset[TILES][2];
};

// scales_at reads entries that the ring has of the row tiles for a group.
template <class F, class S> DEVICE group_scales scales_at(const pg_matrix &w, Shared<const u32x4> entries) {
  group_scales g;
  UNROLL for (u32 r = 0; r < TILES; r++) {
    Shared<const u32x4> scales = entries + r * S::entry, offsets = scales + S::scales;
    UNROLL for (u32 i = 0; i < 2; i++) {
      const u32 row = lane_id() / 4 + 8 * i;
      g.scale[r][i] = w.scale_f32 ? float(cast<const float>(scales)[row]) : from_f16(cast<const u16>(scales)[row]);
      if constexpr (F::kind == SCALED)
        g.offset[r][i] = from_f16(cast<const u16>(offsets)[row]);
      else
        g.offset[r][i] = -float(w.offsets ? u32(cast<const u8>(offsets)[row]) : w.zero);
    }
  }
  return g;
}

// take_group moves a group's sums into the total.
template <class F> DEVICE void take_group(const group_scales &g, decode_sums &sum) {
  UNROLL for (u32 r = 0; r < TILES; r++) {
    UNROLL for (u32 j = 0; j < 4; j++) {
      const u32 i = j / 2;
      float codes = sum.codes[r][j] * code_unit<F>(i), &total = sum.total[r][j];
      if constexpr (F::kind == SCALED)
        total = fma(g.offset[r][i], sum.x[j], fma(g.scale[r][i], codes, total));
      else
        total = fma(g.scale[r][i], fma(g.offset[r][i], sum.x[j], codes), total);
      sum.codes[r][j] = 0;
    }
  }
  UNROLL for (u32 j = 0; j < 4; j++) sum.x[j] = 0;
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

// Where a warp reads the ring: the slots of the next tile.
struct ring_place {
  u32 slot, entry_slot;
};

// load_tile reads a lane's weights of the warp's row tiles from a slot, where its own vectors begin at `own`. Behind it other lanes
// may ask for the slot again.
template <class F> DEVICE void load_tile(Shared<const u32x4> slot, Shared<const u32x4> own, u32x4 (&v)[TILES][F::vectors]) {
  UNROLL for (u32 r = 0; r < TILES; r++) {
    UNROLL for (u32 i = 0; i < F::vectors; i++) {
      if (F::half && i == F::vectors - 1) {
        Shared<const u32> two = cast<const u32>(slot + (r * tile_vectors<F> + i * 32)) + lane_id() * 2;
        v[r][i] = {two[0], two[1], 0, 0};
      } else {
        v[r][i] = load16(own + (r * tile_vectors<F> + i * 32));
      }
    }
  }
  if constexpr (F::half) sync_warp();
}

// multiply_source adds the warp's part of a source to its sums. Fold: scales multiply weights (decode_folded.cuh).
template <class F, bool Few, u32 Grain, bool Fold>
DEVICE void multiply_source(const pg_linear_args &a, const pg_source &source, const item_tiles &tiles, decode_ring<F, Few, Grain> &ring,
                            ring_place &at, decode_sums &sum) {
  typedef ring_shape<F, Few, Grain> S;
  constexpr u32 Q = S::pairs;
  const pg_matrix &w = source.w;
  const share part = warp_part(w.k_tiles);
  const u32 count = part.end - part.begin;
  u32 group_left = Grain ? w.group_steps - part.begin * F::steps % w.group_steps : 0;
  super_scales<F> supers;
  if constexpr (F::super)
    if (count) first_super(supers, w, tiles, part.begin);
  grid_entry only[TILES];
  if constexpr (F::kind != DENSE && Grain == 0) UNROLL for (u32 r = 0; r < TILES; r++) only[r] = load_entry<F>(w, tiles.tile[r], 0);
  Global<const u32x4> x_from = global<const u32x4>(source.x) + (u64(part.begin) * Q * 32 + lane_id());
  u32x4 x[Q] = {};
  if (!S::x_inside && ring.active && count) UNROLL for (u32 q = 0; q < Q; q++) x[q] = load16(x_from + q * 32);
  for (u32 left = count; left > 0; left--) { // counted down: the compiler would work out the end in every round
    cp_async_wait<S::slots - 1>();
    if constexpr (Grain != 0) sync_warp(); // other lanes have asked for entries, and read those whose slot is asked for next
    if constexpr (F::super)
      if (supers.left-- == 0) {
        take_super(supers, sum);
        enter_super(supers, w, tiles);
      }
    Shared<const u32x4> entries = ring.to + (S::entries_at + at.entry_slot * S::entries);
    u32x4 now[TILES][F::vectors];
    Shared<const u32x4> own = ring.to + (at.slot * S::slot + lane_id());
    load_tile<F>(ring.to + at.slot * S::slot, own, now);
    if constexpr (S::x_inside) {
      UNROLL for (u32 q = 0; q < Q; q++) x[q] = {0, 0, 0, 0};
      if (ring.active) UNROLL for (u32 q = 0; q < Q; q++) x[q] = load16(own + (S::weights + q * S::lanes));
    }
    ask_tile(ring, a, at.slot, at.entry_slot == 0 ? S::slots : at.entry_slot - 1);
    cp_async_commit();
    at.slot = at.slot + 1 == S::slots ? 0 : at.slot + 1;
    if constexpr (Grain != 0) at.entry_slot = at.entry_slot == S::slots ? 0 : at.entry_slot + 1;
    bool more = !S::x_inside && ring.active && left > 1;
    if constexpr (!S::x_inside) x_from = x_from + Q * 32;
    folded_groups<F, Fold> groups;
    UNROLL for (u32 q = 0; q < Q; q++) {
      const u32 b[2][2] = {{x[q].x, x[q].y}, {x[q].z, x[q].w}};
      UNROLL for (u32 h = 0; h < 2; h++) {
        const u32 step = 2 * q + h;
        if constexpr (Fold) {
          if (step % Grain == 0)
            UNROLL for (u32 r = 0; r < TILES; r++) groups.of[r] = load_folded<F, S>(w, entries + (step / Grain * TILES + r) * S::entry);
          multiply_folded<F>(now, step, b[h], groups.of, sum);
        } else {
          multiply_step<F>(now, step, b[h], sum);
        }
        if (h == 1 && more) x[q] = load16(x_from + q * 32);
        if constexpr (Grain != 0 && !Fold)
          if ((step + 1) % Grain == 0 && ((group_left -= Grain) == 0 || (step + 1 == F::steps && left == 1))) {
            take_group<F>(scales_at<F, S>(w, entries + step / Grain * TILES * S::entry), sum);
            group_left = group_left == 0 ? w.group_steps : group_left;
          }
      }
    }
  }
  if constexpr (F::super)
    if (count) take_super(supers, sum);
  if constexpr (F::kind != DENSE && Grain == 0) {
    group_scales g;
    UNROLL for (u32 r = 0; r < TILES; r++) {
      UNROLL for (u32 i = 0; i < 2; i++) {
        g.scale[r][i] = scale_value(w, only[r].scale[i]);
        g.offset[r][i] = F::kind == SCALED ? from_f16(u16(only[r].offset[i])) : -float(only[r].offset[i]);
      }
    }
    take_group<F>(g, sum);
  }
}

// write_stats writes what norm_decode wants to know of the outputs of an item: warp t has those of token t, a row a lane.
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

// finish_item adds up the warps' sums and ends the outputs of an item.
DEVICE void finish_item(const pg_segment &s, u32 tile, u32 tokens, const decode_sums &sum, Shared<float> sums) {
  wait_for_previous(); // warps without a share have not, and kernels ahead may still read what is written now
  u32 row = lane_id() / 4, token = lane_id() % 4 * 2;
  UNROLL for (u32 r = 0; r < TILES; r++) {
    UNROLL for (u32 i = 0; i < 4; i++) sums[((warp_id() * TILES + r) * 16 + row + i / 2 * 8) * 8 + token + i % 2] = sum.total[r][i];
  }
  sync_block();
  float y = finish_tiles<false, TILES>(s, tile, 0, tokens, sums);
  if (s.stats) write_stats(s, tile, tokens, y);
  sync_block(); // all have written, and read the sums
  count_written(s.done);
}

template <class F, bool Few, u32 Grain, bool Fold = false> DEVICE void decode_items(const pg_linear_args &a, Shared<u32x4> room) {
  Shared<float> sums = cast<float>(room + LINEAR_WARPS * ROOM);
  decode_ring<F, Few, Grain> ring = {room + warp_id() * ROOM, lane_id() / 4 < a.tokens, block_x()};
  ring_place at = {0, 0};
  begin_ring(ring, a);
  for (u32 item = block_x(); item < a.items; item += grid_x()) {
    linear_block b = find_block(a, item, TILES);
    const pg_segment &s = a.segment[b.segment];
    decode_sums sum = {};
    for (u32 i = 0; i < s.sources; i++) multiply_source<F, Few, Grain, Fold>(a, s.source[i], tiles_of(s, b.tile), ring, at, sum);
    finish_item(s, b.tile, a.tokens, sum, sums);
  }
}

template <class F, bool Few> DEVICE void linear_decode(const pg_linear_args &a) {
  DYNAMIC_SHARED(u32x4, room);
  let_next_begin();
  if constexpr (F::kind == DENSE)
    decode_items<F, Few, 0>(a, room);
  else if constexpr (F::regular)
    decode_items<F, Few, F::grain, true>(a, room);
  else if (a.ends == 0)
    decode_items<F, Few, 0>(a, room);
  else if (a.ends > 2 && a.ends % F::grain == 0)
    decode_items<F, Few, F::grain>(a, room);
  else
    decode_items<F, Few, 2, true>(a, room);
}
