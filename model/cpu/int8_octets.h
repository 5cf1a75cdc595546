// Products of quantised weights and int8 activations, eight rows at a time, over int8_dots.h and the names PG_MUL_INT and PG_MUL_PARTS,
// of mul_int here and in int8_parts.h.

#include "int8_sides.h"

// The next group's scale d, and m, which is added to scale * code.
PG_INLINE void next_group(stream *p, __m256 *d, __m256 *m, const pg_matrix *w, int side) {
  const int type = side == SIDE_ANY ? w->type : PG_F16;
  *d = pg_load8(p->scales, type);
  *m = _mm256_setzero_ps();
  p->scales += PG_OCTET * pg_type_size(type);
  if (side == SIDE_MIN || (side == SIDE_ANY && w->offset == PG_OFFSET_MIN)) {
    *m = pg_load8(p->offsets, PG_F16);
    p->offsets += 2 * PG_OCTET;
  } else if (side == SIDE_ANY && w->offset == PG_OFFSET_ZEROS) {
    *m = _mm256_mul_ps(*d, _mm256_sub_ps(*m, pg_zeros8(p->offsets)));
    p->offsets += PG_OCTET;
  } else if (side != SIDE_PLAIN) {
    *m = _mm256_mul_ps(*d, _mm256_set1_ps(-(float)w->zero));
  }
}

// Octets o..o+n, a constant of 1 or 2. side: what a group carries, as a constant; see enum side.
PG_INLINE void some_octets(float *restrict y, size_t ldy, const pg_matrix *restrict w, size_t o, const pg_tile *restrict xt, int bits,
                           int tokens, int side, int n) {
  const pg_tile x = *xt;
  const size_t blocks = w->padded / PG_BLOCK;
  const uint32_t *start = w->group_start;
  stream p[PAIR];
  __m256 acc[PG_TILE][PAIR], d[PAIR] = {0}, m[PAIR] = {0};
  for (int i = 0; i < n; i++) {
    p[i] = stream_at(w, o + (size_t)i, n);
    for (int t = 0; t < tokens; t++) acc[t][i] = _mm256_setzero_ps();
  }
  for (size_t b = 0; b < blocks; b++) {
    __m256i dot[PG_TILE][PAIR];
    const float *xd = x.d + b * x.stride, *xs = x.s + b * x.stride;
    if (n == PAIR) __asm__ volatile("" : : "r"(acc) : "memory"); // acc waits in memory: the registers are for the sums
    dots(dot, p, x.q + b * x.stride * PG_BLOCK, bits, PG_PARTS_NONE, tokens, n);
    for (; side != SIDE_ANY || b == *start; start++) { // act-order may leave groups without features
      for (int i = 0; i < n; i++) next_group(&p[i], &d[i], &m[i], w, side);
      if (side != SIDE_ANY) break;
    }
    for (int t = 0; t < tokens; t++) {
      const __m256 scale = _mm256_set1_ps(xd[t]), sum = _mm256_set1_ps(xs[t]);
      for (int i = 0; i < n; i++) {
        acc[t][i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[t][i]), _mm256_mul_ps(d[i], scale), acc[t][i]);
        if (side != SIDE_PLAIN) acc[t][i] = _mm256_fmadd_ps(m[i], sum, acc[t][i]);
      }
    }
  }
  for (int t = 0; t < tokens; t++)
    for (int i = 0; i < n; i++) _mm256_storeu_ps(y + (size_t)t * ldy + PG_OCTET * i, acc[t][i]);
}

PG_INLINE void octets(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x, int bits, int tokens, int side) {
  size_t o = lo;
  for (; tokens == PG_TILE && o + PAIR <= hi; o += PAIR) some_octets(y + (o - lo) * PG_OCTET, ldy, w, o, x, bits, tokens, side, PAIR);
  for (; o < hi; o++) some_octets(y + (o - lo) * PG_OCTET, ldy, w, o, x, bits, tokens, side, 1);
}

#include "int8_dispatch.h"
