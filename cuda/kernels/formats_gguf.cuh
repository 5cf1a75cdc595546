// The formats that only GGUF files have: five and six bits, and K-quants, whose scales have two levels.
//
// A K-quant's group of 16 or 32 features has a small integer scale s and maybe an integer minimum m; 256 features are a
// super-block with f16 scales d and maybe e: w = d·s·(code − zero), or d·s·code − e·m. A format F with super-blocks has besides
//   entry          bytes that a group has for a row, 1 or 2: s, m; or both in one. Vectors of an entry of 16 rows, too
//   scale_of(v)    s of these bytes, plus `bias`, so that it is not negative
//   minimum_of(v)  m of these bytes
//   zero           the code that means 0, where there are no minima
// and a group is `grain` steps long. It has no levels and no decode: where scales multiply weights, codes do (decode_folded.cuh).
// Of an entry lane/4 has 2·entry bytes side by side: s of rows lane/4 and lane/4 + 8, m of both.
// Products of d, s and code are exact in f32: 11, 8 and 6 bits, signs not counted.
//
// A prompt multiplies f16 that expand.cu makes of all of these.
#pragma once
#include "formats.cuh"

// Four bits in two vectors of nibbles, as g4 has them, and a part for those above.
struct above_nibbles : plain {
  static constexpr u32 features = 128, vectors = 3, steps = 8, grain = 2, high = 16;
  static constexpr bool regular = true;
  DEVICE u32 part(u32 vector, u32 code) { return vector < 2 ? code & 15 : code >> 4; }
  template <class Words> DEVICE u32 low(const Words &w, u32 s, u32 j) { return word_of(w, s / 4, s % 4) >> nibble_bit(j) & 15; }
  DEVICE weight_slot low_slot(u32 vector, u32 word, u32 i) { return {4 * vector + word, i, nibble_bit(i)}; }
};

struct fives : above_nibbles {
  static constexpr u32 half = 1;
  DEVICE void codes(const u32x4 (&v)[3], u32 s, u32 (&a)[4]) {
    nibble_codes(component(v[s / 4], s % 4), a);
    u32 fifths = component(v[2], s / 4);
    UNROLL for (u32 p = 0; p < 4; p++) a[p] |= moved(fifths, s % 4 * 4 + p, p % 2 ? 8 : 4);
  }
  template <class Words> DEVICE u32 stored(const Words &w, u32 s, u32 j) {
    return low(w, s, j) | (half_word_of(w, 2, s / 4) >> high_bit(s, j) & 1) << 4;
  }
  DEVICE u32 slots(u32 vector) { return vector < 2 ? 8 : 32; }
  DEVICE weight_slot slot(u32 vector, u32 word, u32 i) {
    if (vector < 2) return low_slot(vector, word, i);
    return {4 * word + i / 8, i % 8, high_bit(i / 8, i % 8)};
  }
};

// The codes become f16 as four bits do: what is above them adds 16, and 256 in registers 1 and 3.
struct g5 : fives {
  static constexpr format_kind kind = INTEGERS;
  typedef code_levels levels;
  DEVICE levels make_levels(const grid_entry &e) { return g4::make_levels(e); }
  DEVICE void decode(const u32x4 (&v)[3], u32 s, const levels &l, u32 (&a)[4]) {
    codes(v, s, a);
    UNROLL for (u32 p = 0; p < 4; p++) a[p] |= F16_1024;
    subtract_nibbles(a, l);
  }
};
struct m5 : fives {
  static constexpr format_kind kind = SCALED;
  typedef scaled_levels levels;
  DEVICE levels make_levels(const grid_entry &e) { return m4::make_levels(e); }
  DEVICE void decode(const u32x4 (&v)[3], u32 s, const levels &l, u32 (&a)[4]) {
    codes(v, s, a);
    UNROLL for (u32 p = 0; p < 4; p++) a[p] |= F16_1024;
    scale_nibbles(a, l);
  }
};

// The scale is a signed byte, kept with 128 added.
struct signed_scale {
  static constexpr u32 entry = 1, bias = 128;
  DEVICE u32 scale_of(u32 v) { return v; }
  DEVICE u32 minimum_of(u32) { return 0; }
};

// Scale and minimum are a byte each.
struct two_bytes {
  static constexpr u32 entry = 2, bias = 0, zero = 0;
  DEVICE u32 scale_of(u32 v) { return v & 0xff; }
  DEVICE u32 minimum_of(u32 v) { return v >> 8; }
};

// group_byte is where byte i of a row is in an entry.
template <class F> DEVICE u32 group_byte(u32 row, u32 i) { return row % 8 * (2 * F::entry) + i * 2 + row % 16 / 8; }

struct k2 : g2 {
  static constexpr u32 grain = 1, entry = 1, bias = 0, zero = 0;
  static constexpr bool super = true, regular = true;
  static constexpr format_kind kind = SCALED;
  DEVICE u32 scale_of(u32 v) { return v & 15; }
  DEVICE u32 minimum_of(u32 v) { return v >> 4; }
};

struct k3 : g3, signed_scale {
  static constexpr u32 grain = 1, zero = 4;
  static constexpr bool super = true, regular = true;
};

struct k4 : nibbles, two_bytes {
  static constexpr u32 grain = 2;
  static constexpr bool super = true, regular = true;
  static constexpr format_kind kind = SCALED;
};

struct k5 : fives, two_bytes {
  static constexpr bool super = true;
  static constexpr format_kind kind = SCALED;
};

struct k6 : above_nibbles, signed_scale {
  static constexpr u32 grain = 1, zero = 32;
  static constexpr bool super = true;
  static constexpr format_kind kind = INTEGERS;
  DEVICE void codes(const u32x4 (&v)[3], u32 s, u32 (&a)[4]) {
    nibble_codes(component(v[s / 4], s % 4), a);
    u32 pairs = component(v[2], s / 2) >> (s % 2 * 8);
    UNROLL for (u32 p = 0; p < 4; p++) {
      const u32 from = 2 * p, to = p % 2 ? 8 : 4;
      a[p] |= (to > from ? pairs << (to - from) : pairs >> (from - to)) & 0x00030003 << to;
    }
  }
  template <class Words> DEVICE u32 stored(const Words &w, u32 s, u32 j) { return low(w, s, j) | (word_of(w, 2, s / 2) >> pair_bit(s, j) & 3) << 4; }
  DEVICE u32 slots(u32 vector) { return vector < 2 ? 8 : 16; }
  DEVICE weight_slot slot(u32 vector, u32 word, u32 i) {
    if (vector < 2) return low_slot(vector, word, i);
    return {2 * word + i / 8, i % 8, pair_bit(i / 8, i % 8)};
  }
};
