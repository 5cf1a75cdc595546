// What each weight format of layout.cuh is, to the kernels that read it and the kernels that write it.
//
// A format F is a struct of static functions:
//   features, vectors, steps   of a tile
//   kind                       how a fragment becomes weights
//   grain                      steps between two looks for the end of a group, where groups are whole multiples of it
//   decode(v, s, levels, a)    step s of a lane's vectors as the four registers of an A fragment, f16
//   codes(v, s, a)             the same, but codes as they are, times 2^-24; those of rows lane/4 + 8 also times `high`
//   stored(words, s, j)        weight j of step s as it is stored: a code, or the bits of a float
//   slots(v), slot(v, w, i)    where the weights in word w of vector v come from: what `decode` reads, written by repack.cuh
//
// f16 from codes: a code in the low ten bits of 0x6400 (1024.0) makes 1024 + code, exactly; shifted left by n it makes
// 1024 + 2^n·code. One addition or fma with an exact result takes the 1024, the shift and the zero point away. The code alone is
// a subnormal number, 2^-24·code, which tensor cores take as exactly as any other.
#pragma once
#include "layout.cuh"

enum format_kind {
  INTEGERS, // code − zero, exact; the scale comes later
  SCALED,   // scale·code + minimum
  DENSE,
};

// A weight's place in a word: step, index in the lane's eight of that step, lowest bit.
struct weight_slot {
  u32 step, j, bit;
};

// The scale and the zero point (or minimum) that a lane needs of a group, as stored: of its rows lane/4 and lane/4 + 8. Of formats
// with super-blocks both are f32: of the group, the super-block's scales included.
struct grid_entry {
  u32 scale[2], offset[2];
};

// What most formats are.
struct plain {
  static constexpr u32 half = 0;          // 1: of a tile's last vector a lane has 8 bytes instead of 16
  static constexpr bool super = false;    // there are super-blocks: scales of two levels (formats_gguf.cuh)
  static constexpr bool regular = false;  // every group is a multiple of `grain` steps
};

// Vectors of a tile.
template <class F> constexpr u32 tile_vectors = F::vectors * 32 - F::half * 16;

DEVICE u32 component(const u32x4 &v, u32 i) { return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w; }
DEVICE u32 twice(u32 f16) { return f16 | f16 << 16; }
DEVICE u32 twice_f16(float v) { return pack_f16(v, v); }

// A lane's words of a tile, in registers and in memory. half_word_of is of a vector of which a lane has two words.
template <u32 Vectors> struct register_words { u32x4 v[Vectors]; };
struct memory_words {
  Global<const u32> tile;
  u32 lane;
};
template <u32 Vectors> DEVICE u32 word_of(const register_words<Vectors> &w, u32 vector, u32 i) { return component(w.v[vector], i); }
template <u32 Vectors> DEVICE u32 half_word_of(const register_words<Vectors> &w, u32 vector, u32 i) { return component(w.v[vector], i); }
DEVICE u32 word_of(const memory_words &w, u32 vector, u32 i) { return w.tile[vector * 128 + w.lane * 4 + i]; }
DEVICE u32 half_word_of(const memory_words &w, u32 vector, u32 i) { return w.tile[vector * 128 + w.lane * 2 + i]; }

constexpr u32 F16_ONES = 0x3c003c00, F16_1024 = 0x64006400, F16_MINUS_1024 = 0xe400e400, F16_MINUS_64 = 0xd400d400;
constexpr u32 F16_MINUS_256 = 0xdc00dc00, F16_MINUS_16 = 0xcc00cc00;
constexpr u32 F16_QUARTER = 0x34003400, F16_16TH = 0x2c002c00, F16_64TH = 0x24002400;

// below is the f16 pair so many units in the last place further from 0 than a negative power of two.
DEVICE u32 below(u32 pair, u32 units) { return pair + units * 0x00010001; }

// What formats of whole codes subtract: register p of a fragment holds row lane/4 + 8·(p%2), shifted left by its own amount.
struct code_levels { u32 minus[4]; };

struct g8 : plain {
  static constexpr u32 features = 32, vectors = 1, steps = 2, grain = 2, high = 1;
  static constexpr format_kind kind = INTEGERS;
  DEVICE void codes(const u32x4 (&v)[1], u32 s, u32 (&a)[4]) {
    UNROLL for (u32 p = 0; p < 4; p++) a[p] = byte_permute(component(v[0], 2 * s + p / 2), 0, p % 2 ? 0x4342 : 0x4140);
  }
  typedef code_levels levels;
  DEVICE levels make_levels(const grid_entry &e) {
    u32 a = below(F16_MINUS_1024, e.offset[0]), b = below(F16_MINUS_1024, e.offset[1]);
    return {{a, b, a, b}};
  }
  DEVICE void decode(const u32x4 (&v)[1], u32 s, const levels &l, u32 (&a)[4]) {
    UNROLL for (u32 p = 0; p < 4; p++) {
      u32 bytes = byte_permute(component(v[0], 2 * s + p / 2), F16_1024, p % 2 ? 0x5352 : 0x5150);
      a[p] = add_f16x2(bytes, l.minus[p]);
    }
  }
  template <class Words> DEVICE u32 stored(const Words &w, u32 s, u32 j) { return word_of(w, 0, 2 * s + j / 4) >> (j % 4 * 8) & 0xff; }
  DEVICE u32 slots(u32) { return 4; }
  DEVICE weight_slot slot(u32, u32 word, u32 i) { return {word / 2, word % 2 * 4 + i, 8 * i}; }
  DEVICE u32 part(u32, u32 code) { return code; }
};

DEVICE u32 nibble_bit(u32 j) { return j / 2 * 4 + j % 2 * 16; }

// The four nibble pairs of a word as they are (registers 0, 2), and times 16 (1, 3).
DEVICE void nibble_codes(u32 word, u32 (&a)[4]) {
  UNROLL for (u32 p = 0; p < 4; p += 2) {
    a[p] = (word >> (4 * p)) & 0x000f000f;
    a[p + 1] = (word >> (4 * p)) & 0x00f000f0;
  }
}

// The same as 1024 + code (registers 0, 2) and 1024 + 16·code (1, 3).
DEVICE void spread_nibbles(u32 word, u32 (&a)[4]) {
  UNROLL for (u32 p = 0; p < 4; p += 2) {
    u32 w = word >> (4 * p);
    a[p] = and_or(w, 0x000f000f, F16_1024);
    a[p + 1] = and_or(w, 0x00f000f0, F16_1024);
  }
}

struct nibbles : plain {
  static constexpr u32 features = 64, vectors = 1, steps = 4, grain = 4, high = 16;
  DEVICE void codes(const u32x4 (&v)[1], u32 s, u32 (&a)[4]) { nibble_codes(component(v[0], s), a); }
  template <class Words> DEVICE u32 stored(const Words &w, u32 s, u32 j) { return word_of(w, 0, s) >> nibble_bit(j) & 15; }
  DEVICE u32 slots(u32) { return 8; }
  DEVICE weight_slot slot(u32, u32 word, u32 i) { return {word, i, nibble_bit(i)}; }
  DEVICE u32 part(u32, u32 code) { return code; }
};

// subtract_nibbles makes 1024 + code and 1024 + 16·code code − zero.
DEVICE void subtract_nibbles(u32 (&a)[4], const code_levels &l) {
  UNROLL for (u32 p = 0; p < 4; p += 2) {
    a[p] = add_f16x2(a[p], l.minus[p]);
    a[p + 1] = fma_f16x2(a[p + 1], F16_16TH, l.minus[p + 1]);
  }
}

struct scaled_levels { u32 scale[2], minimum[2]; };

// scale_nibbles makes them scale·code + minimum.
DEVICE void scale_nibbles(u32 (&a)[4], const scaled_levels &l) {
  UNROLL for (u32 p = 0; p < 4; p++) {
    u32 code = p % 2 ? fma_f16x2(a[p], F16_16TH, F16_MINUS_64) : add_f16x2(a[p], F16_MINUS_1024);
    a[p] = fma_f16x2(code, l.scale[p % 2], l.minimum[p % 2]);
  }
}

struct g4 : nibbles {
  static constexpr format_kind kind = INTEGERS;
  typedef code_levels levels;
  DEVICE levels make_levels(const grid_entry &e) {
    u32 a = below(F16_MINUS_1024, e.offset[0]), b = below(F16_MINUS_64, 16 * e.offset[1]);
    return {{a, b, a, b}};
  }
  DEVICE void decode(const u32x4 (&v)[1], u32 s, const levels &l, u32 (&a)[4]) {
    spread_nibbles(component(v[0], s), a);
    subtract_nibbles(a, l);
  }
};

struct m4 : nibbles {
  static constexpr format_kind kind = SCALED;
  typedef scaled_levels levels;
  DEVICE levels make_levels(const grid_entry &e) {
    return {{twice(e.scale[0]), twice(e.scale[1])}, {twice(e.offset[0]), twice(e.offset[1])}};
  }
  DEVICE void decode(const u32x4 (&v)[1], u32 s, const levels &l, u32 (&a)[4]) {
    spread_nibbles(component(v[0], s), a);
    scale_nibbles(a, l);
  }
};

// Two bits: register p comes as 1024 + 4^p·code, in g3 too, whose third bit joins the two.
DEVICE code_levels pair_levels(const grid_entry &e) {
  u32 zero = e.offset[0], zero8 = e.offset[1];
  return {{below(F16_MINUS_1024, zero), below(F16_MINUS_256, 4 * zero8), below(F16_MINUS_64, 16 * zero), below(F16_MINUS_16, 64 * zero8)}};
}
DEVICE void subtract_pairs(u32 (&a)[4], const code_levels &l) {
  a[0] = add_f16x2(a[0], l.minus[0]);
  a[1] = fma_f16x2(a[1], F16_QUARTER, l.minus[1]);
  a[2] = fma_f16x2(a[2], F16_16TH, l.minus[2]);
  a[3] = fma_f16x2(a[3], F16_64TH, l.minus[3]);
}
DEVICE void pair_codes(u32 w, u32 (&a)[4]) {
  UNROLL for (u32 p = 0; p < 4; p += 2) {
    a[p] = (w >> (2 * p)) & 0x00030003;
    a[p + 1] = (w >> (2 * p)) & 0x000c000c;
  }
}
DEVICE u32 pair_bit(u32 s, u32 j) { return s % 2 * 8 + j / 2 * 2 + j % 2 * 16; }

struct g2 : plain {
  static constexpr u32 features = 128, vectors = 1, steps = 8, grain = 8, high = 4;
  static constexpr format_kind kind = INTEGERS;
  DEVICE void codes(const u32x4 (&v)[1], u32 s, u32 (&a)[4]) { pair_codes(component(v[0], s / 2) >> (s % 2 * 8), a); }
  typedef code_levels levels;
  DEVICE levels make_levels(const grid_entry &e) { return pair_levels(e); }
  DEVICE void decode(const u32x4 (&v)[1], u32 s, const levels &l, u32 (&a)[4]) {
    u32 w = component(v[0], s / 2) >> (s % 2 * 8);
    UNROLL for (u32 p = 0; p < 4; p++) a[p] = and_or(w, 0x00030003 << (2 * p), F16_1024);
    subtract_pairs(a, l);
  }
  template <class Words> DEVICE u32 stored(const Words &w, u32 s, u32 j) { return word_of(w, 0, s / 2) >> pair_bit(s, j) & 3; }
  DEVICE u32 slots(u32) { return 16; }
  DEVICE weight_slot slot(u32, u32 word, u32 i) { return {2 * word + i / 8, i % 8, pair_bit(i / 8, i % 8)}; }
  DEVICE u32 part(u32, u32 code) { return code; }
};

// moved brings the bits `from` of both halves to the places `to`.
DEVICE u32 moved(u32 v, u32 from, u32 to) { return (to > from ? v << (to - from) : v >> (from - to)) & 0x00010001 << to; }

// Where the one bit more of a code is, of four steps a word.
DEVICE u32 high_bit(u32 s, u32 j) { return s % 4 * 4 + j / 2 + j % 2 * 16; }

struct g3 : plain {
  static constexpr u32 features = 256, vectors = 3, steps = 16, grain = 8, high = 4;
  static constexpr format_kind kind = INTEGERS;
  DEVICE void codes(const u32x4 (&v)[3], u32 s, u32 (&a)[4]) {
    pair_codes(component(v[s / 8], s % 8 / 2) >> (s % 2 * 8), a);
    u32 thirds = component(v[2], s / 4);
    UNROLL for (u32 p = 0; p < 4; p++) a[p] |= moved(thirds, s % 4 * 4 + p, p % 2 ? 4 : 2);
  }
  typedef code_levels levels;
  DEVICE levels make_levels(const grid_entry &e) { return pair_levels(e); }
  DEVICE void decode(const u32x4 (&v)[3], u32 s, const levels &l, u32 (&a)[4]) {
    u32 w = component(v[s / 8], s % 8 / 2) >> (s % 2 * 8), thirds = component(v[2], s / 4);
    UNROLL for (u32 p = 0; p < 4; p++) {
      a[p] = and_or(w, 0x00030003 << (2 * p), F16_1024) | moved(thirds, s % 4 * 4 + p, 2 * p + 2);
    }
    subtract_pairs(a, l);
  }
  template <class Words> DEVICE u32 stored(const Words &w, u32 s, u32 j) {
    return (word_of(w, s / 8, s % 8 / 2) >> pair_bit(s, j) & 3) | (word_of(w, 2, s / 4) >> high_bit(s, j) & 1) << 2;
  }
  DEVICE u32 slots(u32 vector) { return vector < 2 ? 16 : 32; }
  DEVICE weight_slot slot(u32 vector, u32 word, u32 i) {
    if (vector < 2) return {8 * vector + 2 * word + i / 8, i % 8, pair_bit(i / 8, i % 8)};
    return {4 * word + i / 8, i % 8, high_bit(i / 8, i % 8)};
  }
  DEVICE u32 part(u32 vector, u32 code) { return vector < 2 ? code & 3 : code >> 2; }
};

struct no_levels {};

struct halves : plain {
  static constexpr u32 features = 32, vectors = 2, steps = 2, grain = 2;
  static constexpr format_kind kind = DENSE;
  typedef no_levels levels;
  template <class Words> DEVICE u32 stored(const Words &w, u32 s, u32 j) { return word_of(w, s, j / 2) >> (j % 2 * 16) & 0xffff; }
  DEVICE u32 slots(u32) { return 2; }
  DEVICE weight_slot slot(u32 vector, u32 word, u32 i) { return {vector, 2 * word + i, 16 * i}; }
  DEVICE u32 part(u32, u32 bits) { return bits; }
};

struct f16 : halves {
  DEVICE void decode(const u32x4 (&v)[2], u32 s, const levels &, u32 (&a)[4]) {
    UNROLL for (u32 p = 0; p < 4; p++) a[p] = component(v[s], p);
  }
  DEVICE float widen(u32 bits) { return from_f16(u16(bits)); }
};

// bfloat16 and f32 reach further than f16: decode saturates, and keeps NaN.
struct bf16 : halves {
  DEVICE void decode(const u32x4 (&v)[2], u32 s, const levels &, u32 (&a)[4]) {
    UNROLL for (u32 p = 0; p < 4; p++) {
      u32 w = component(v[s], p);
      a[p] = pack_f16(clamp_f16(bits_to_f32(w << 16)), clamp_f16(bits_to_f32(w & 0xffff0000u)));
    }
  }
  DEVICE float widen(u32 bits) { return from_bf16(u16(bits)); }
};

struct f32 : plain {
  static constexpr u32 features = 32, vectors = 4, steps = 2, grain = 2;
  static constexpr format_kind kind = DENSE;
  typedef no_levels levels;
  DEVICE void decode(const u32x4 (&v)[4], u32 s, const levels &, u32 (&a)[4]) {
    UNROLL for (u32 p = 0; p < 4; p++) {
      const u32x4 &half = v[2 * s + p / 2];
      a[p] = pack_f16(clamp_f16(bits_to_f32(component(half, p % 2 * 2))), clamp_f16(bits_to_f32(component(half, p % 2 * 2 + 1))));
    }
  }
  DEVICE float widen(u32 bits) { return bits_to_f32(bits); }
  template <class Words> DEVICE u32 stored(const Words &w, u32 s, u32 j) { return word_of(w, 2 * s + j / 4, j % 4); }
  DEVICE u32 slots(u32) { return 1; }
  DEVICE weight_slot slot(u32 vector, u32 word, u32) { return {vector / 2, vector % 2 * 4 + word, 0}; }
  DEVICE u32 part(u32, u32 bits) { return bits; }
};
