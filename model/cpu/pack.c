// Repacking of dense weights and GPTQ into the layout of layout.h, octet by octet. GGUF's blocks: pack_blocks.c.
#include "layout.h"

#include <string.h>

static void pack_dense(const pg_matrix *dst, const uint8_t *src, const int32_t *rows, size_t lo, size_t hi) {
  size_t size = pg_type_size(dst->type), in = dst->in;
  for (size_t o = lo; o < hi; o++) {
    uint8_t *to = dst->codes + o * pg_octet_bytes(dst);
    for (size_t r = 0; r < PG_OCTET; r++) {
      size_t n = o * PG_OCTET + r;
      if (n >= dst->out) {
        for (size_t k = 0; k < in; k++) memset(to + (k * PG_OCTET + r) * size, 0, size);
        continue;
      }
      const uint8_t *from = src + pg_source_row(rows, n) * in * size;
      if (size == 2) {
        for (size_t k = 0; k < in; k++) memcpy(to + (k * PG_OCTET + r) * 2, from + 2 * k, 2);
      } else {
        for (size_t k = 0; k < in; k++) memcpy(to + (k * PG_OCTET + r) * 4, from + 4 * k, 4);
      }
    }
  }
}

// One feature's codes of eight stored columns. Codes may cross a word with 3 bits: the words of a column are one bit stream.
static void gather_codes(uint8_t q[PG_OCTET], const uint8_t *qweight, size_t stored, const size_t col[PG_OCTET], int bits,
                         size_t k) {
  size_t bit = k * (size_t)bits, word = bit / 32, shift = bit % 32;
  uint32_t mask = (1u << bits) - 1;
  const uint8_t *row = qweight + word * stored * 4;
  for (size_t r = 0; r < PG_OCTET; r++) {
    uint32_t v, next = 0;
    memcpy(&v, row + 4 * col[r], 4);
    v >>= shift;
    if (shift + (size_t)bits > 32) {
      memcpy(&next, row + (stored + col[r]) * 4, 4);
      v |= next << (32 - shift);
    }
    q[r] = (uint8_t)(v & mask);
  }
}

// Writes the codes q[32][8] (unsigned) of one octet and block.
static void pack_block(uint8_t *c, uint8_t q[PG_BLOCK][PG_OCTET], int bits) {
  memset(c, 0, pg_block_bytes(bits));
  for (size_t k = 0; k < PG_BLOCK; k++) {
    size_t u = k / PG_UNIT, j = k % PG_UNIT;
    for (size_t r = 0; r < PG_OCTET; r++) {
      uint8_t v = q[k][r];
      size_t at = PG_UNIT * r + j;
      if (bits == 4) {
        c[32 * (u % 4) + at] |= (uint8_t)(v << (4 * (u / 4)));
      } else if (bits == 8) {
        c[32 * u + at] = v ^ 0x80; // signed: code - 128
      } else {
        c[32 * (u / 4) + at] |= (uint8_t)((v & 3) << (2 * (u % 4)));
        if (bits == 3) c[64 + at] |= (uint8_t)((v >> 2) << u);
      }
    }
  }
}

static void pack_gptq(const pg_pack *p, size_t lo, size_t hi) {
  const pg_matrix *dst = p->dst;
  size_t bytes = pg_block_bytes(dst->bits);
  uint8_t q[PG_BLOCK][PG_OCTET];
  for (size_t o = lo; o < hi; o++) {
    uint8_t *to = dst->codes + o * pg_octet_bytes(dst);
    size_t col[PG_OCTET], have = dst->out - o * PG_OCTET < PG_OCTET ? dst->out - o * PG_OCTET : PG_OCTET;
    for (size_t r = 0; r < PG_OCTET; r++) col[r] = pg_source_row(p->rows, o * PG_OCTET + (r < have ? r : 0));
    for (size_t b = p->blo; b < p->bhi; b++) {
      for (size_t k = 0; k < PG_BLOCK; k++) {
        int64_t from = dst->perm ? dst->perm[b * PG_BLOCK + k] : (int64_t)(b * PG_BLOCK + k);
        if (from < 0) {
          memset(q[k], 0, PG_OCTET);
          continue;
        }
        gather_codes(q[k], p->src, p->stored, col, dst->bits, (size_t)from);
      }
      pack_block(to + b * bytes, q, dst->bits);
    }
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

void pg_pack_octets(const pg_pack *p, size_t lo, size_t hi) {
  switch (p->format) {
  case PG_DENSE:
    pack_dense(p->dst, p->src, p->rows, lo, hi);
    break;
  case PG_GPTQ:
    if (p->blo == 0) pack_side(p, lo, hi);
    pack_gptq(p, lo, hi);
    break;
  default:
    pg_pack_blocks(p, lo, hi);
  }
}
