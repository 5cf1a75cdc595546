// The formats that only GGUF files have: five and six bits, and K-quants, whose scales have two levels.
//
// A K-quant's group of 16 or 32 features has a small integer scale s and maybe an integer minimum m; 256 features are a
// super-block with f16 scales d and maybe e: w = d·s·(code − zero), or d·s·code − e·m. A format F with super-blocks has besides
//   entry                              vectors that a group has for 16 rows: bytes of s, then those of m; or both in one
//   group_scale(s), group_minimum(s, m)   of these bytes
// and a group is `grain` steps long. Products of d, s and code are exact in f32: 11, 8 and 6 bits, signs not counted.
//
// A prompt multiplies f16 that expand.cu makes of them, so none of these has `decode`.
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

struct g5 : fives { static constexpr format_kind kind = INTEGERS; };
struct m5 : fives { static constexpr format_kind kind = SCALED; };

// The scale is a signed byte.
struct signed_scale {
  static constexpr u32 entry = 1;
  DEVICE float group_scale(u32 s) { return float(i32(s << 24) >> 24); }
  DEVICE float group_minimum(u32, u32) { return 0; }
};

// Scale and minimum are a byte each.
struct two_bytes {
  static constexpr u32 entry = 2;
  DEVICE float group_scale(u32 s) { return float(s); }
  DEVICE float group_minimum(u32, u32 m) { return float(m); }
};

struct k2 : g2 {
  static constexpr u32 grain = 1, entry = 1;
  static constexpr bool super = true, regular = true;
  static constexpr format_kind kind = SCALED;
  DEVICE float group_scale(u32 s) { return float(s & 15); }
  DEVICE float group_minimum(u32 s, u32) { return float(s >> 4); }
};

struct k3 : g3, signed_scale {
  static constexpr u32 grain = 1;
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
  static constexpr u32 grain = 1;
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
