// Repacking of GGUF's blocks into the layout of layout.h. The blocks' own layout is said in quant/matrix.go and
// quant/kblocks.go.
//
// Q4_0, Q4_1 and Q8_0 have the layout's codes already, word by word. Of the others the codes of 32 features become eight words,
// word u features 4u..4u+3 with a byte each, from which the planes are put together; a word of the source has four neighbouring
// features too, so both ways go four codes at a time.
#include "layout.h"

#include <string.h>

static uint32_t load32(const uint8_t *p) {
  uint32_t v;
  memcpy(&v, p, 4);
  return v;
}

// The same bits of each of four bytes, brought to place `to`.
static uint32_t bits_of(uint32_t word, int from, uint32_t mask, int to) { return ((word >> from) & mask * 0x01010101u) << to; }

// Four bits become the lowest of four bytes.
static uint32_t spread(uint32_t bits) { return ((bits & 15) * 0x00204081u) & 0x01010101u; }

// One row's codes of 32 features, as words, into a block of the layout: what lies at dword r of each vector.
static void put_codes(uint8_t *to, const uint32_t q[8], int bits, size_t r) {
  uint8_t *high = to + 128;
  to += 4 * r;
  uint32_t word;
  if (bits >= 4) {
    for (size_t i = 0; i < 4; i++) {
      word = bits_of(q[i], 0, 15, 0) | bits_of(q[i + 4], 0, 15, 4);
      memcpy(to + 32 * i, &word, 4);
    }
  }
  uint8_t *pairs = bits == 6 ? high + 4 * r : to, *ones = bits == 5 ? high + 4 * r : to + 64;
  if (bits == 2 || bits == 3 || bits == 6) {
    int from = bits == 6 ? 4 : 0;
    for (size_t v = 0; v < 2; v++) {
      word = 0;
      for (int i = 0; i < 4; i++) word |= bits_of(q[4 * v + (size_t)i], from, 3, 2 * i);
      memcpy(pairs + 32 * v, &word, 4);
    }
  }
  if (bits == 3 || bits == 5) {
    word = 0;
    for (int u = 0; u < 8; u++) word |= bits_of(q[u], bits - 1, 1, u);
    memcpy(ones, &word, 4);
  }
}

// What a row's block of the source says about 32 features of it.
typedef struct piece {
  uint32_t q[8];
  uint8_t part[2]; // as pg_parts says
} piece;

// Q5_0, Q5_1: the fifth bits stand in front of the nibbles.
static void take_fives(piece *p, const uint8_t *high) {
  uint32_t bits = load32(high);
  for (size_t u = 0; u < 8; u++)
    p->q[u] = bits_of(load32(high + 4 + 4 * (u % 4)), u < 4 ? 0 : 4, 15, 0) | spread(bits >> (4 * u)) << 4;
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

// Features 32j..32j+31 of a K-quant block.
static void take_super(piece *p, const uint8_t *block, int format, size_t j) {
  const size_t far = j / 4; // the half of the block; its four runs of 32 share their bytes
  const int run = (int)(j % 4), odd = 4 * (int)(j % 2);
  for (size_t u = 0; u < 8; u++) {
    switch (format) {
    case PG_Q2_K:
      p->q[u] = bits_of(load32(block + 16 + 32 * far + 4 * u), 2 * run, 3, 0);
      break;
    case PG_Q3_K:
      p->q[u] = bits_of(load32(block + 32 + 32 * far + 4 * u), 2 * run, 3, 0) | bits_of(load32(block + 4 * u), (int)j, 1, 2);
      break;
    case PG_Q4_K:
      p->q[u] = bits_of(load32(block + 16 + 32 * (j / 2) + 4 * u), odd, 15, 0);
      break;
    case PG_Q5_K:
      p->q[u] = bits_of(load32(block + 48 + 32 * (j / 2) + 4 * u), odd, 15, 0) | bits_of(load32(block + 16 + 4 * u), (int)j, 1, 4);
      break;
    default: // PG_Q6_K
      p->q[u] = bits_of(load32(block + 64 * far + 32 * (j % 2) + 4 * u), run < 2 ? 0 : 4, 15, 0) |
                bits_of(load32(block + 128 + 32 * far + 4 * u), 2 * run, 3, 4);
    }
  }
  switch (format) {
  case PG_Q2_K:
    memcpy(p->part, block + 2 * j, 2);
    break;
  case PG_Q3_K:
    p->part[0] = take_six_bits_signed(block + 96, 2 * j);
    p->part[1] = take_six_bits_signed(block + 96, 2 * j + 1);
    break;
  case PG_Q6_K:
    memcpy(p->part, block + 192 + 2 * j, 2);
    break;
  default:
    take_six_bits(p->part, block + 4, j);
  }
}

// Where the floats of a block are: d, and what is added, -1 where there is none.
static void floats_of(int format, size_t *d, int *min) {
  *d = format == PG_Q2_K ? 80 : format == PG_Q3_K ? 108 : format == PG_Q6_K ? 208 : 0;
  *min = -1;
  if (format == PG_Q4_1 || format == PG_Q5_1 || format == PG_Q4_K || format == PG_Q5_K) *min = 2;
  if (format == PG_Q2_K) *min = 82;
}

// The codes of a block of the layout, of eight rows that have them word by word already.
static void interleave(uint8_t *to, const uint8_t *const from[PG_OCTET], size_t skip, size_t vectors) {
  for (size_t i = 0; i < vectors; i++) {
    uint32_t v[PG_OCTET];
    for (size_t r = 0; r < PG_OCTET; r++) v[r] = load32(from[r] + skip + 4 * i);
    memcpy(to + 32 * i, v, sizeof v);
  }
}

// A block of the source in row r of an octet: `each` blocks of the layout, which begin at `to` and `parts`.
static void pack_pieces(const pg_pack *p, uint8_t *to, uint8_t *parts, const uint8_t *from, size_t skip, size_t each, size_t r) {
  const pg_matrix *dst = p->dst;
  for (size_t j = 0; j < each; j++, to += pg_block_bytes(dst->bits), parts += PG_PARTS_BYTES) {
    piece x = {.part = {0}};
    if (dst->parts) {
      take_super(&x, from, p->format, j);
      memcpy(parts + 2 * r, x.part, 2);
    } else {
      take_fives(&x, from + skip);
    }
    put_codes(to, x.q, dst->bits, r);
  }
}

// Octet o, block by block: `to` is written once, from front to back. from: the eight rows; step: bytes from a block to the next,
// 0 in rows that do not exist.
static void pack_octet(const pg_pack *p, size_t o, const uint8_t *from[PG_OCTET], const size_t step[PG_OCTET]) {
  const pg_matrix *dst = p->dst;
  const size_t bytes = pg_block_bytes(dst->bits), each = dst->padded / PG_BLOCK / dst->groups; // blocks of ours in one of theirs
  const int as_it_is = p->format == PG_Q4_0 || p->format == PG_Q4_1 || p->format == PG_Q8_0;
  uint8_t *to = dst->codes + o * pg_octet_bytes(dst), *parts = dst->part_bytes + o * pg_octet_parts(dst);
  size_t d;
  int min;
  floats_of(p->format, &d, &min);
  const size_t skip = min < 0 ? 2 : 4;
  for (size_t g = 0; g < dst->groups; g++, to += each * bytes, parts += each * PG_PARTS_BYTES) {
    for (size_t r = 0; r < PG_OCTET; r++) {
      size_t side = ((o * dst->groups + g) * PG_OCTET + r) * 2;
      memcpy(dst->scales + side, from[r] + d, 2);
      if (min >= 0) memcpy(dst->offsets + side, from[r] + min, 2);
      if (min >= 0 && dst->parts) dst->offsets[side + 1] ^= 0x80; // the minimum is taken away
      if (!as_it_is) pack_pieces(p, to, parts, from[r], skip, each, r);
    }
    if (as_it_is) interleave(to, from, skip, bytes / 32);
    for (size_t r = 0; r < PG_OCTET; r++) from[r] += step[r];
  }
}

void pg_pack_blocks(const pg_pack *p, size_t lo, size_t hi) {
  static const uint8_t none[210]; // the largest block: rows that do not exist weigh nothing
  for (size_t o = lo; o < hi; o++) {
    const uint8_t *from[PG_OCTET];
    size_t step[PG_OCTET];
    for (size_t r = 0; r < PG_OCTET; r++) {
      size_t n = o * PG_OCTET + r;
      from[r] = n < p->dst->out ? p->src + pg_source_row(p->rows, n) * p->dst->groups * p->block : none;
      step[r] = n < p->dst->out ? p->block : 0;
    }
    pack_octet(p, o, from, step);
  }
}
