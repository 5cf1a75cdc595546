// linear_prefill_F: y = W·x for many tokens, with tensor cores; f16 x and weights, f32 sums; the epilogue of the segment.
//
// Grid: (Σ over segments ceil(tiles / PG_PREFILL_TILES), ceil(tokens / PG_PREFILL_TOKENS)), 256 threads. Shared memory: 48 KiB.
// A block computes 128 rows × 128 tokens, a warp 32 rows × half of the tokens. Oracle: quant.Matrix.Dequantize times x.
//
// Weights lie in the order of A fragments, so they go from global memory straight into registers, a unit of 64 features or
// more ahead, and are dequantised there, twice a block, each fragment for up to 8 mma.sync. x lies in the order of B fragments:
// cp.async brings it to shared memory three stages of 64 features deep, and 16 bytes a lane are two fragments, without ldmatrix.
// Scales multiply while decoding, with one rounding; the one scale of a first source without groups waits for the end.
//
// Devices of compute capability 9.0 have their own: prefill_hopper.cuh.
#pragma once
#include "linear.cuh"

constexpr u32 STAGES = 3, STAGE_PAIRS = 2, TOKEN_GROUPS = PG_PREFILL_TOKENS / 8, WARP_TILES = 2, WARP_GROUPS = TOKEN_GROUPS / 2;
constexpr u32 ROW_WARPS = PG_PREFILL_TILES / WARP_TILES;
static_assert(ROW_WARPS * 2 == LINEAR_WARPS, "two warps share the weights of their rows");

typedef float prefill_sums[WARP_TILES][WARP_GROUPS][4];

// The x of a block: 8-token groups from `first` on, `groups` of them, `pairs` of 32 features each.
struct prefill_x {
  Global<const u32x4> from;
  Shared<u32x4> stages; // [STAGES][TOKEN_GROUPS][STAGE_PAIRS][32]
  u32 first, groups, pairs;
};

// fetch_stage starts the copy of 64 features; behind the last pair it writes zeros.
DEVICE void fetch_stage(const prefill_x &x, u32 stage) {
  constexpr u32 Vectors = STAGE_PAIRS * 32;
  if (stage * STAGE_PAIRS < x.pairs) {
    Shared<u32x4> to = x.stages + stage % STAGES * TOKEN_GROUPS * Vectors;
    u32 in_group = thread_x() % Vectors;
    u32 pair = stage * STAGE_PAIRS + in_group / 32;
    bool valid = pair < x.pairs;
    for (u32 g = thread_x() / Vectors; g < x.groups; g += LINEAR_WARPS * 32 / Vectors)
      cp_async16(to + (g * Vectors + in_group), x.from + ((u64(x.first + g) * x.pairs + (valid ? pair : 0)) * 32 + in_group % 32), valid);
  }
  cp_async_commit();
}

// The group that a warp's row tile is in, as decoding needs it, and the next one.
template <class F> struct prefill_group {
  typename F::levels levels;
  u32 scale[2]; // f16, twice
  grid_entry next;
};

template <class F> DEVICE void enter_prefill_group(prefill_group<F> &g, const pg_matrix &w, u32 tile, u32 group) {
  if constexpr (F::kind != DENSE) {
    g.levels = F::make_levels(g.next);
    UNROLL for (u32 i = 0; i < 2; i++) g.scale[i] = twice_f16(clamp_f16(scale_value(w, g.next.scale[i])));
    g.next = load_entry<F>(w, tile, group + 1);
  }
}

template <class F> struct prefill_unit {
  static constexpr u32 Pairs = F::features / 32 < STAGE_PAIRS ? STAGE_PAIRS : F::features / 32;
  static constexpr u32 Tiles = Pairs * 32 / F::features;
  u32x4 v[WARP_TILES][Tiles][F::vectors];
};

template <class F> DEVICE void load_unit(prefill_unit<F> &u, const pg_matrix &w, u32 tile, u32 tiles, u32 unit) {
  UNROLL for (u32 r = 0; r < WARP_TILES; r++) {
    UNROLL for (u32 i = 0; i < u.Tiles; i++) {
      u32 k_tile = unit * u.Tiles + i;
      bool there = tile + r < tiles && k_tile < w.k_tiles;
      Global<const u32x4> from = global<const u32x4>(w.codes) + ((u64(tile + r) * w.k_tiles + k_tile) * F::vectors * 32 + lane_id());
      UNROLL for (u32 v = 0; v < F::vectors; v++) {
        u.v[r][i][v] = {0, 0, 0, 0};
        if (there) u.v[r][i][v] = load16(from + v * 32);
      }
    }
  }
}

// prefill_source adds one source's products. The warp has row tiles `tile` and the next, and token groups from `group` on,
// `groups` of them. deferred: the sums are to be multiplied by the one scale afterwards.
template <class F>
DEVICE void prefill_source(const pg_matrix &w, const prefill_x &x, u32 tile, u32 tiles, u32 group, u32 groups, bool deferred,
                           prefill_sums &sum) {
  constexpr u32 UnitPairs = prefill_unit<F>::Pairs;
  prefill_unit<F> now, next;
  load_unit(next, w, tile, tiles, 0);
  prefill_group<F> grid[WARP_TILES];
  UNROLL for (u32 r = 0; r < WARP_TILES; r++) {
    if (F::kind != DENSE && tile + r < tiles) grid[r].next = load_entry<F>(w, tile + r, 0);
    else grid[r].next = {};
    enter_prefill_group(grid[r], w, tile + r, tile + r < tiles ? 0 : w.groups);
  }
  u32 in_group = 0, left = w.group_steps;
  fetch_stage(x, 0);
  fetch_stage(x, 1);
  for (u32 pair = 0; pair < x.pairs; pair += UnitPairs) {
    now = next;
    load_unit(next, w, tile, tiles, pair / UnitPairs + 1);
    UNROLL for (u32 p = 0; p < UnitPairs; p++) {
      u32 stage = (pair + p) / STAGE_PAIRS;
      if (p % STAGE_PAIRS == 0) {
        cp_async_wait<STAGES - 2>();
        sync_block();
        fetch_stage(x, stage + STAGES - 1);
      }
      u32 a[WARP_TILES][2][4];
      UNROLL for (u32 h = 0; h < 2; h++) {
        const u32 step = 2 * p + h;
        UNROLL for (u32 r = 0; r < WARP_TILES; r++) {
          F::decode(now.v[r][step / F::steps], step % F::steps, grid[r].levels, a[r][h]);
          if constexpr (F::kind == INTEGERS)
            if (!deferred) UNROLL for (u32 i = 0; i < 4; i++) a[r][h][i] = mul_f16x2(a[r][h][i], grid[r].scale[i % 2]);
        }
      }
      if constexpr (F::kind != DENSE)
        if ((left -= 2) == 0) {
          in_group++;
          left = w.group_steps;
          UNROLL for (u32 r = 0; r < WARP_TILES; r++)
            enter_prefill_group(grid[r], w, tile + r, tile + r < tiles ? in_group : w.groups);
        }
      Shared<const u32x4> from = x.stages + (stage % STAGES * TOKEN_GROUPS + group) * STAGE_PAIRS * 32 + p % STAGE_PAIRS * 32 + lane_id();
      UNROLL for (u32 n = 0; n < WARP_GROUPS; n++) {
        if (n >= groups) break;
        u32x4 v = load16(from + n * STAGE_PAIRS * 32);
        u32 b[2][2] = {{v.x, v.y}, {v.z, v.w}};
        UNROLL for (u32 h = 0; h < 2; h++) {
          UNROLL for (u32 r = 0; r < WARP_TILES; r++) mma_f16(sum[r][n], a[r][h], b[h]);
        }
      }
    }
  }
  sync_block(); // the next source's stages overwrite these
}

// scale_sums multiplies by the one scale of each row.
template <class F> DEVICE void scale_sums(const pg_matrix &w, u32 tile, u32 tiles, prefill_sums &sum) {
  UNROLL for (u32 r = 0; r < WARP_TILES; r++) {
    if (tile + r >= tiles) break;
    grid_entry e = load_entry<F>(w, tile + r, 0);
    UNROLL for (u32 n = 0; n < WARP_GROUPS; n++) {
      UNROLL for (u32 i = 0; i < 4; i++) sum[r][n][i] *= scale_value(w, e.scale[i / 2]);
    }
  }
}

// finish_block ends the warp's outputs; a lane has rows lane/4 and lane/4 + 8, the gate and the up of a gated feature. Sums
// are in registers, which have no index: a loop with a choice is a sixteenth of the code that unrolling would make of it.
DEVICE void finish_block(const pg_segment &s, u32 tile, u32 first, u32 tokens, const prefill_sums &sum) {
  u32 row = lane_id() / 4, mine = min(WARP_TILES, s.tiles - min(tile, s.tiles));
  for (u32 i = 0; i < mine * WARP_GROUPS * 2; i++) {
    u32 r = i / (WARP_GROUPS * 2), n = i / 2 % WARP_GROUPS, token = first + n * 8 + lane_id() % 4 * 2 + i % 2;
    float y = 0, y8 = 0;
    UNROLL for (u32 j = 0; j < WARP_TILES * WARP_GROUPS * 2; j++) {
      if (i == j) {
        y = sum[j / (WARP_GROUPS * 2)][j / 2 % WARP_GROUPS][j % 2];
        y8 = sum[j / (WARP_GROUPS * 2)][j / 2 % WARP_GROUPS][j % 2 + 2];
      }
    }
    if (token >= tokens) continue;
    if (s.epilogue == PG_GATED) {
      finish_gated<false>(s, token, (tile + r) * 8 + row, y, y8);
    } else {
      finish<false>(s, token, (tile + r) * 16 + row, y);
      finish<false>(s, token, (tile + r) * 16 + row + 8, y8);
    }
  }
}

template <class F> DEVICE void linear_prefill(const pg_linear_args &a) {
  SHARED(u32x4, stages, STAGES * TOKEN_GROUPS * STAGE_PAIRS * 32);
  linear_block b = find_block(a, block_x(), PG_PREFILL_TILES);
  const pg_segment &s = a.segment[b.segment];
  u32 first = block_y() * TOKEN_GROUPS, groups = min((a.tokens + 7) / 8 - first, TOKEN_GROUPS);
  u32 half = (groups + 1) / 2, group = warp_id() / ROW_WARPS * half, mine = min(groups - group, half);
  u32 tile = b.tile + warp_id() % ROW_WARPS * WARP_TILES;
  prefill_sums sum = {};
  for (u32 i = 0; i < s.sources; i++) {
    const pg_matrix &w = s.source[i].w;
    prefill_x x = {global<const u32x4>(s.source[i].x), stages, first, groups, w.k_tiles * (F::features / 32)};
    bool deferred = i == 0 && w.groups == 1 && F::kind == INTEGERS;
    prefill_source<F>(w, x, tile, s.tiles, group, mine, deferred, sum);
    if (deferred) scale_sums<F>(w, tile, s.tiles, sum);
  }
  // Only columns of this half: the other half's tokens begin where this one's groups end.
  finish_block(s, tile, (first + group) * 8, min(a.tokens, (first + group + mine) * 8), sum);
}
