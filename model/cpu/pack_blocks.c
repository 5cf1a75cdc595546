// Repacking of GGUF's blocks into the layout of layout.h. The blocks' own layout is said in quant/matrix.go and
// quant/kblocks.go.
//
// Q4_0, Q4_1 and Q8_0 have the layout's codes already, word by word. Of the others the codes of 32 features become eight words,
// word u features 4u..4u+3 with a byte each, from which the planes are put together; a word of the source has four neighbouring
// features too, so both ways go four codes at a time.
#include "pack_quads.h"

// Four bits, from a place on, become the fifth of four bytes.
INLINE quad fifths(quad word, int from) {
  word >>= from;
  return (word & 1) << 4 | (word & 2) << 11 | (word & 4) << 18 | (word & 8) << 25;
}

// How a block stands in the source: where its scale is, and its minimum (-1: it has none), where its codes begin, and how many words of
// them there are.
typedef struct source {
  size_t d;
  int min;
  size_t codes, words;
} source;

INLINE source source_of(int format) {
  switch (format) {
  case PG_Q4_0:
    return (source){0, -1, 2, 4};
  case PG_Q4_1:
    return (source){0, 2, 4, 4};
  case PG_Q5_0:
    return (source){0, -1, 2, 5};
  case PG_Q5_1:
    return (source){0, 2, 4, 5};
  case PG_Q8_0:
    return (source){0, -1, 2, 8};
  case PG_Q2_K:
    return (source){80, 82, 16, 16};
  case PG_Q3_K:
    return (source){108, -1, 0, 24};
  case PG_Q4_K:
    return (source){0, 2, 16, 32};
  case PG_Q5_K:
    return (source){0, 2, 16, 40};
  default: // PG_Q6_K
    return (source){208, -1, 0, 48};
  }
}

// The codes of features 32j..32j+31, of the block's words w.
INLINE void take_codes(quad q[8], const quad *w, int format, size_t j) {
  const size_t far = j / 4; // the half of a K-quant's block; its four runs of 32 share their bytes
  const int run = (int)(j % 4), odd = 4 * (int)(j % 2);
  for (size_t u = 0; u < 8; u++) {
    switch (format) {
    case PG_Q5_0:
    case PG_Q5_1: // the fifth bits stand in front of the nibbles
      q[u] = bits_of(w[1 + u % 4], u < 4 ? 0 : 4, 15, 0) | fifths(w[0], 4 * (int)u);
      break;
    case PG_Q2_K:
      q[u] = bits_of(w[8 * far + u], 2 * run, 3, 0);
      break;
    case PG_Q3_K:
      q[u] = bits_of(w[8 + 8 * far + u], 2 * run, 3, 0) | bits_of(w[u], (int)j, 1, 2);
      break;
    case PG_Q4_K:
      q[u] = bits_of(w[8 * (j / 2) + u], odd, 15, 0);
      break;
    case PG_Q5_K:
      q[u] = bits_of(w[8 + 8 * (j / 2) + u], odd, 15, 0) | bits_of(w[u], (int)j, 1, 4);
      break;
    default: // PG_Q6_K
      q[u] = bits_of(w[16 * far + 8 * (j % 2) + u], run < 2 ? 0 : 4, 15, 0) | bits_of(w[32 + 8 * far + u], 2 * run, 3, 4);
    }
  }
}

// Scale and minimum of part j of a Q4_K or Q5_K block (quant.sixBits).
static void take_six_bits(uint8_t part[2], const uint8_t *packed, size_t j) {
  if (j < 4) {
    part[0] = packed[j] & 63;
    part[1] = packed[j + 4] & 63;
  } else {
    part[0] = (uint8_t)((packed[j + 4] & 15) | packed[j - 4] >> 6 << 4);
    part[1] = (uint8_t)(packed[j + 4] >> 4 | packed[j] >> 6 << 4);
  }
}

// Scale of part j of a Q3_K block (quant.sixBitsSigned).
static uint8_t take_six_bits_signed(const uint8_t *packed, size_t j) {
  int low = packed[j % 8] >> (j / 8 * 4) & 15, high = packed[8 + j % 4] >> (j / 4 * 2) & 3;
  return (uint8_t)((low | high << 4) - 32);
}

// The two bytes that pg_parts says of features 32j..32j+31.
INLINE void take_part(uint8_t part[2], const uint8_t *block, int format, size_t j) {
  switch (format) {
  case PG_Q2_K:
    memcpy(part, block + 2 * j, 2);
    break;
  case PG_Q3_K:
    part[0] = take_six_bits_signed(block + 96, 2 * j);
    part[1] = take_six_bits_signed(block + 96, 2 * j + 1);
    break;
  case PG_Q6_K:
    memcpy(part, block + 192 + 2 * j, 2);
    break;
  default:
    take_six_bits(part, block + 4, j);
  }
}

// A block of four rows: their 16 bytes of each vector of as many blocks of the layout, from `to` on, which have so many bytes.
INLINE void pack_quad(uint8_t *to, size_t bytes, const uint8_t *const from[4], int format, int bits, size_t each) {
  const source at = source_of(format);
  quad w[48];
  load_words(w, from, at.codes, at.words);
  if (format == PG_Q4_0 || format == PG_Q4_1 || format == PG_Q8_0) {
    for (size_t i = 0; i < at.words; i++) memcpy(to + 32 * i, &w[i], 16);
    return;
  }
  for (size_t j = 0; j < each; j++, to += bytes) {
    quad q[8];
    take_codes(q, w, format, j);
    put_codes(to, q, bits);
  }
}

// Octet o, block by block: `to` is written once, from front to back. from: the eight rows; step: bytes from a block to the next,
// 0 in rows that do not exist. bits and each, blocks of ours in one of theirs, are the format's.
INLINE void pack_octet(const pg_pack *p, size_t o, const uint8_t *from[PG_OCTET], const size_t step[PG_OCTET], int format, int bits, size_t each) {
  const pg_matrix *dst = p->dst;
  const size_t bytes = pg_block_bytes(bits);
  const source at = source_of(format);
  uint8_t *to = dst->codes + o * pg_octet_bytes(dst), *parts = dst->part_bytes + o * pg_octet_parts(dst);
  size_t side = o * dst->groups * PG_OCTET * 2;
  for (size_t g = 0; g < dst->groups; g++, to += each * bytes) {
    for (size_t r = 0; r < PG_OCTET; r++, side += 2) {
      memcpy(dst->scales + side, from[r] + at.d, 2);
      if (at.min >= 0) memcpy(dst->offsets + side, from[r] + at.min, 2);
      if (at.min >= 0 && each > 1) dst->offsets[side + 1] ^= 0x80; // the minimum is taken away
    }
    for (size_t j = 0; j < each && each > 1; j++, parts += PG_PARTS_BYTES)
      for (size_t r = 0; r < PG_OCTET; r++) take_part(parts + 2 * r, from[r], format, j);
    pack_quad(to, bytes, from, format, bits, each);
    pack_quad(to + 16, bytes, from + 4, format, bits, each);
    for (size_t r = 0; r < PG_OCTET; r++) from[r] += step[r];
  }
}

INLINE void pack_all(const pg_pack *p, size_t lo, size_t hi, int format, int bits, size_t each) {
  static const uint8_t none[210]; // the largest block: rows that do not exist weigh nothing
  for (size_t o = lo; o < hi; o++) {
    const uint8_t *from[PG_OCTET];
    size_t step[PG_OCTET];
    for (size_t r = 0; r < PG_OCTET; r++) {
      size_t n = o * PG_OCTET + r;
      from[r] = n < p->dst->out ? p->src + pg_source_row(p->rows, n) * p->dst->groups * p->block : none;
      step[r] = n < p->dst->out ? p->block : 0;
    }
    pack_octet(p, o, from, step, format, bits, each);
  }
}

void pg_pack_blocks(const pg_pack *p, size_t lo, size_t hi) {
  switch (p->format) {
  case PG_Q4_0:
    pack_all(p, lo, hi, PG_Q4_0, 4, 1);
    break;
  case PG_Q4_1:
    pack_all(p, lo, hi, PG_Q4_1, 4, 1);
    break;
  case PG_Q5_0:
    pack_all(p, lo, hi, PG_Q5_0, 5, 1);
    break;
  case PG_Q5_1:
    pack_all(p, lo, hi, PG_Q5_1, 5, 1);
    break;
  case PG_Q8_0:
    pack_all(p, lo, hi, PG_Q8_0, 8, 1);
    break;
  case PG_Q2_K:
    pack_all(p, lo, hi, PG_Q2_K, 2, PG_SUPER);
    break;
  case PG_Q3_K:
    pack_all(p, lo, hi, PG_Q3_K, 3, PG_SUPER);
    break;
  case PG_Q4_K:
    pack_all(p, lo, hi, PG_Q4_K, 4, PG_SUPER);
    break;
  case PG_Q5_K:
    pack_all(p, lo, hi, PG_Q5_K, 5, PG_SUPER);
    break;
  default:
    pack_all(p, lo, hi, PG_Q6_K, 6, PG_SUPER);
  }
}
