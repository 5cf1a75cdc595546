// Repacking of dense weights into the layout of layout.h, octet by octet. GGUF's blocks: pack_blocks.c; GPTQ: pack_gptq.c.
#include "pack_quads.h"

typedef uint16_t eight __attribute__((vector_size(16)));

// Eight features of eight rows, two bytes each: three times, what is four rows apart is put side by side.
static void transpose(uint8_t *to, const uint8_t *const from[PG_OCTET], size_t at) {
  eight rows[PG_OCTET], next[PG_OCTET];
  for (size_t r = 0; r < PG_OCTET; r++) memcpy(&rows[r], from[r] + at, sizeof rows[r]);
  for (size_t step = 0; step < 3; step++) {
    for (size_t i = 0; i < 4; i++) {
      next[2 * i] = SHUFFLE(rows[i], rows[i + 4], 0, 8, 1, 9, 2, 10, 3, 11);
      next[2 * i + 1] = SHUFFLE(rows[i], rows[i + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    memcpy(rows, next, sizeof rows);
  }
  memcpy(to, rows, sizeof rows);
}

// Features k.. of eight rows, of so many bytes each.
INLINE void interleave(uint8_t *to, const uint8_t *const from[PG_OCTET], size_t k, size_t in, size_t size) {
  for (; k < in; k++)
    for (size_t r = 0; r < PG_OCTET; r++) memcpy(to + (k * PG_OCTET + r) * size, from[r] + k * size, size);
}

static void pack_dense(const pg_pack *p, size_t lo, size_t hi) {
  const size_t size = pg_type_size(p->dst->type), in = p->dst->in;
  for (size_t o = lo; o < hi; o++) {
    uint8_t *to = p->dst->codes + o * pg_octet_bytes(p->dst);
    const uint8_t *from[PG_OCTET];
    size_t rows = p->dst->out - o * PG_OCTET < PG_OCTET ? p->dst->out - o * PG_OCTET : PG_OCTET, k = 0;
    for (size_t r = 0; r < PG_OCTET; r++) // those that do not exist are read as the octet's first, and cleared below
      from[r] = p->src + pg_source_row(p->rows, o * PG_OCTET + (r < rows ? r : 0)) * in * size;
    if (size == 4) {
      interleave(to, from, 0, in, 4);
    } else {
      for (; k + 8 <= in; k += 8) transpose(to + k * PG_OCTET * 2, from, k * 2);
      interleave(to, from, k, in, 2);
    }
    for (size_t r = rows; r < PG_OCTET; r++)
      for (k = 0; k < in; k++) memset(to + (k * PG_OCTET + r) * size, 0, size);
  }
}

void pg_pack_octets(const pg_pack *p, size_t lo, size_t hi) {
  switch (p->format) {
  case PG_DENSE:
    pack_dense(p, lo, hi);
    break;
  case PG_GPTQ:
    pg_pack_gptq(p, lo, hi);
    break;
  default:
    pg_pack_blocks(p, lo, hi);
  }
}
