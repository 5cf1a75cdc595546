// Repacking of GPTQ's words into the layout of layout.h. A column of the source, one output row, is a stream of codes from the low bits of
// its words on; four columns that stand side by side are taken together, feature by feature in the order of the layout.
#include "pack_quads.h"

enum { PANEL = 8 }; // octets that are repacked together, so that of a row of the source several cache lines are used at once

// Four columns of the source.
typedef struct columns {
  const uint8_t *word[4]; // the first of each
  int together;           // side by side
  size_t stride;          // bytes from a word to the next
} columns;

INLINE quad words_of(const columns *c, size_t row, int together) {
  quad v;
  if (together) {
    memcpy(&v, c->word[0] + row * c->stride, 16);
    return v;
  }
  uint32_t word[4];
  for (size_t r = 0; r < 4; r++) memcpy(&word[r], c->word[r] + row * c->stride, 4);
  memcpy(&v, word, 16);
  return v;
}

// The codes of the feature that begins at a bit of these words; with 3 bits they may cross a word.
INLINE quad code_at(const columns *c, size_t row, uint32_t bit, int bits, int together) {
  quad v = words_of(c, row, together) >> bit;
  if (bits == 3 && bit > 29) v |= words_of(c, row + 1, together) << (32 - bit);
  return v & ((1u << bits) - 1);
}

// A block of the features perm[32], -1 where it is padded; perm NULL: of those that begin with word `first`.
INLINE void pack_features(uint8_t *to, const columns *c, size_t first, const int32_t *perm, int bits, int together) {
  quad q[8];
  for (size_t u = 0; u < 8; u++) {
    quad word = {0};
    for (size_t j = 0; j < PG_UNIT; j++) {
      int32_t k = perm ? perm[u * PG_UNIT + j] : (int32_t)(u * PG_UNIT + j);
      size_t bit = (size_t)k * (size_t)bits;
      if (k >= 0) word |= code_at(c, first + bit / 32, bit % 32, bits, together) << (uint32_t)(8 * j);
    }
    q[u] = bits == 8 ? word ^ 0x80808080u : word; // signed: code - 128
  }
  put_codes(to, q, bits);
}

INLINE void pack_block(const pg_pack *p, uint8_t *to, const columns *c, size_t b, int bits) {
  const int32_t *perm = p->dst->perm;
  const size_t first = b * (size_t)bits; // 32 features have so many words
  if (perm && c->together) pack_features(to, c, 0, perm + b * PG_BLOCK, bits, 1);
  else if (perm) pack_features(to, c, 0, perm + b * PG_BLOCK, bits, 0);
  else if (c->together) pack_features(to, c, first, NULL, bits, 1);
  else pack_features(to, c, first, NULL, bits, 0);
}

// Rows n..n+3 of the layout. Those that do not exist are copies of row `instead`; their scales are zero.
static columns columns_of(const pg_pack *p, size_t n, size_t instead) {
  columns c = {.together = 1, .stride = p->stored * 4};
  for (size_t r = 0; r < 4; r++) {
    c.word[r] = p->src + 4 * pg_source_row(p->rows, n + r < p->dst->out ? n + r : instead);
    c.together &= c.word[r] == c.word[0] + 4 * r;
  }
  return c;
}

INLINE void pack_panels(const pg_pack *p, size_t lo, size_t hi, int bits) {
  const pg_matrix *dst = p->dst;
  const size_t bytes = pg_block_bytes(bits);
  for (size_t first = lo; first < hi; first += PANEL) {
    size_t end = first + PANEL < hi ? first + PANEL : hi;
    columns c[2 * PANEL];
    for (size_t i = 0; i < 2 * (end - first); i++) c[i] = columns_of(p, first * PG_OCTET + 4 * i, (first + i / 2) * PG_OCTET);
    for (size_t b = p->blo; b < p->bhi; b++)
      for (size_t i = 0; i < 2 * (end - first); i++)
        pack_block(p, dst->codes + (first + i / 2) * pg_octet_bytes(dst) + b * bytes + i % 2 * 16, &c[i], b, bits);
  }
}

// Scales and zero points.
static void pack_side(const pg_pack *p, size_t lo, size_t hi) {
  const pg_matrix *dst = p->dst;
  size_t size = pg_type_size(dst->type);
  for (size_t o = lo; o < hi; o++) {
    for (size_t g = 0; g < dst->groups; g++) {
      for (size_t r = 0; r < PG_OCTET; r++) {
        size_t n = o * PG_OCTET + r, at = (o * dst->groups + g) * PG_OCTET + r;
        if (n >= dst->out) { // rows that do not exist weigh nothing
          memset(dst->scales + at * size, 0, size);
          if (p->zeros) dst->offsets[at] = 0;
          continue;
        }
        size_t from = g * p->stored + pg_source_row(p->rows, n);
        memcpy(dst->scales + at * size, p->scales + from * size, size);
        if (p->zeros) dst->offsets[at] = (uint8_t)p->zeros[from];
      }
    }
  }
}

void pg_pack_gptq(const pg_pack *p, size_t lo, size_t hi) {
  if (p->blo == 0) pack_side(p, lo, hi);
  switch (p->dst->bits) {
  case 2:
    pack_panels(p, lo, hi, 2);
    break;
  case 3:
    pack_panels(p, lo, hi, 3);
    break;
  case 4:
    pack_panels(p, lo, hi, 4);
    break;
  default:
    pack_panels(p, lo, hi, 8);
  }
}
