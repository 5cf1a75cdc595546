// Products in which scales multiply weights before the tensor cores do: where groups are short, 16 or 32 features, moving a group's
// sums costs more than that.
//
// Of a K-quant the group's integer scale goes in, and the super-block's scales multiply sums. code·s is exact in f16, but for Q6_K's
// products beyond 2048, which round; minima are a product of their own with an A fragment that repeats them. Of the other formats
// the whole weight goes in, rounded to f16 as a prompt's is.
#pragma once
#include "decode_ring.cuh"

// The sums of a warp, C fragments: of a row tile's codes with x in the group or super-block that it is in, of x alone or of minima with
// x, and all before.
struct decode_sums {
  float codes[TILES][4], x[4], minima[TILES][4], total[TILES][4];
};

// 2^24, and what rows lane/4 + 8 have besides: codes are subnormal numbers (formats.cuh).
template <class F> DEVICE float code_unit(u32 half) { return half ? 16777216.0f / F::high : 16777216.0f; }

// The scales of the super-blocks that the row tiles are in, and those of the next ones, which are loaded long before.
template <class F> struct super_scales {
  u32 now[TILES][2], next[TILES][2];
  u32 following; // the super-block that `next` is of
  u32 left;      // K tiles of this one that are still to come
};

// enter_super moves to the next super-block, and loads the scales of the one behind it.
template <class F> DEVICE void enter_super(super_scales<F> &d, const pg_matrix &w, const item_tiles &t) {
  d.following = min(d.following + 1, w.groups * F::grain / 16 - 1);
  d.left = 16 / F::steps - 1;
  UNROLL for (u32 r = 0; r < TILES; r++) {
    UNROLL for (u32 i = 0; i < 2; i++) {
      d.now[r][i] = d.next[r][i];
      d.next[r][i] = load_super<F>(w, t.tile[r] * 16 + lane_id() / 4 + 8 * i, d.following);
    }
  }
}

template <class F> DEVICE void first_super(super_scales<F> &d, const pg_matrix &w, const item_tiles &t, u32 k_tile) {
  d.following = k_tile * F::steps / 16;
  UNROLL for (u32 r = 0; r < TILES; r++) {
    UNROLL for (u32 i = 0; i < 2; i++) d.next[r][i] = load_super<F>(w, t.tile[r] * 16 + lane_id() / 4 + 8 * i, d.following);
  }
  enter_super(d, w, t);
  d.left = 16 / F::steps - k_tile % (16 / F::steps);
}

// take_super moves a super-block's sums into the total.
template <class F> DEVICE void take_super(const super_scales<F> &d, decode_sums &sum) {
  UNROLL for (u32 r = 0; r < TILES; r++) {
    UNROLL for (u32 j = 0; j < 4; j++) {
      const u32 i = j / 2;
      float &total = sum.total[r][j];
      total = fma(from_f16(u16(d.now[r][i])) * code_unit<F>(i), sum.codes[r][j], total);
      sum.codes[r][j] = 0;
      if constexpr (F::kind == SCALED) {
        total = fma(-from_f16(u16(d.now[r][i] >> 16)), sum.minima[r][j], total);
        sum.minima[r][j] = 0;
      }
    }
  }
}

// What weights of a group of a row tile are multiplied with and moved by: of rows lane/4 and lane/4 + 8, f16, twice.
template <class F> struct folded_group {
  typename F::levels levels;
  u32 scale[2];
};
struct folded_super {
  u32 scale[2], minimum[2];
};
template <class F> DEVICE auto empty_group() {
  if constexpr (F::super) return folded_super{};
  else return folded_group<F>{};
}
template <class F> using folded = decltype(empty_group<F>());

// byte_f16 is byte i of v, less something, as f16, twice.
template <u32 Less> DEVICE u32 byte_f16(u32 v, u32 i) { return add_f16x2(byte_permute(v, 0x64, 0x4040 + 0x0101 * i), (0xe400 + Less) * 0x00010001); }

// load_folded reads the entry of a row tile's group.
template <class F, class S> DEVICE folded<F> load_folded(const pg_matrix &w, Shared<const u32x4> entry) {
  folded<F> g;
  if constexpr (F::super) {
    u32 v = F::entry == 2 ? u32(cast<const u32>(entry)[lane_id() / 4]) : u32(cast<const u16>(entry)[lane_id() / 4]);
    constexpr bool Nibbles = F::kind == SCALED && F::entry == 1; // both in a byte
    u32 scales = Nibbles ? v & 0x0f0f : v;
    UNROLL for (u32 i = 0; i < 2; i++) {
      g.scale[i] = byte_f16<F::bias>(scales, i);
      g.minimum[i] = Nibbles ? byte_f16<0>(v >> 4 & 0x0f0f, i) : byte_f16<0>(v, 2 + i);
    }
  } else {
    Shared<const u32x4> offsets = entry + S::scales;
    grid_entry e;
    UNROLL for (u32 i = 0; i < 2; i++) {
      const u32 row = lane_id() / 4 + 8 * i;
      e.scale[i] = w.scale_f32 ? u32(cast<const u32>(entry)[row]) : u32(cast<const u16>(entry)[row]);
      e.offset[i] = F::kind == SCALED ? u32(cast<const u16>(offsets)[row]) : w.offsets ? u32(cast<const u8>(offsets)[row]) : w.zero;
      g.scale[i] = w.scale_f32 ? twice_f16(clamp_f16(bits_to_f32(e.scale[i]))) : twice(e.scale[i]);
    }
    g.levels = F::make_levels(e);
  }
  return g;
}

// multiply_folded adds a step of 16 features.
template <class F> DEVICE void multiply_folded(const u32x4 (&v)[TILES][F::vectors], u32 step, const u32 (&x)[2], const folded<F> (&g)[TILES], decode_sums &sum) {
  UNROLL for (u32 r = 0; r < TILES; r++) {
    u32 a[4];
    if constexpr (F::super) {
      F::codes(v[r], step, a);
      UNROLL for (u32 p = 0; p < 4; p++) {
        constexpr u32 Negative = 0x8000;
        if constexpr (F::kind == INTEGERS) a[p] = add_f16x2(a[p], twice(Negative | F::zero * (p % 2 ? F::high : 1)));
        a[p] = mul_f16x2(a[p], g[r].scale[p % 2]);
      }
      mma_f16(sum.codes[r], a, x);
      if constexpr (F::kind == SCALED) {
        const u32 m[4] = {g[r].minimum[0], g[r].minimum[1], g[r].minimum[0], g[r].minimum[1]};
        mma_f16(sum.minima[r], m, x);
      }
    } else {
      F::decode(v[r], step, g[r].levels, a);
      if constexpr (F::kind == INTEGERS) UNROLL for (u32 p = 0; p < 4; p++) a[p] = mul_f16x2(a[p], g[r].scale[p % 2]);
      mma_f16(sum.total[r], a, x);
    }
  }
}

// The groups that the row tiles are in; nothing where scales do not multiply weights.
template <class F, bool Fold> struct folded_groups {
  folded<F> of[TILES];
};
template <class F> struct folded_groups<F, false> {};
