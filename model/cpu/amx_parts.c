// AMX: integer products of K-quants and int8 activations for many tokens.
//
// A sum is multiplied by its integer scale as float32, which is exact: 32 features of codes up to 31 with scales up to 63 stay below
// 2^23, 16 of codes from -32 to 31 with scales down to -128 too, and two of these below 2^24.
#include "amx.h"

#if defined(__x86_64__)
PG_AMX_BEGIN

// Some blocks of both octets, unpacked: acc += scale * (x.d * (first * sum of the first half + last * sum of the last)), and what
// the minima bring. PG_PARTS_MIN has one scale for the block, `first`, and float minima; PG_PARTS_MINS has `min` for the group, and
// its integers, pairs of the halves.
typedef struct panel {
  _Alignas(64) uint8_t units[PANEL][PG_BLOCK / PG_UNIT * ROW];
  __m512 scale[PANEL], first[PANEL], last[PANEL], min[PANEL];
  __m512i pairs[PANEL];
} panel;

// The next block's integers as floats. min: the group's.
PG_INLINE void fill_parts(panel *to, size_t b, pair *p, int parts, __m512 min) {
  __m512i v = next_parts(p, parts == PG_PARTS_ZERO);
  if (parts == PG_PARTS_MINS) {
    to->pairs[b] = _mm512_srli_epi16(v, 4);
    v = _mm512_and_si512(v, _mm512_set1_epi16(15));
  }
  __m512 first = _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(v, 16), 16)), last = _mm512_cvtepi32_ps(_mm512_srai_epi32(v, 16));
  to->first[b] = first;
  to->last[b] = last;
  to->min[b] = parts == PG_PARTS_MIN ? _mm512_mul_ps(min, last) : min;
}

// Unpacks n blocks, whole groups.
PG_INLINE void fill(panel *to, const pg_matrix *w, pair *p, size_t n, int bits, int parts) {
  __m512 scale = _mm512_setzero_ps(), min = scale;
  for (size_t b = 0; b < n; b++) {
    if (b % PG_SUPER == 0) {
      scale = join(pg_load8(p->scales[0], PG_F16), pg_load8(p->scales[1], PG_F16));
      if (parts != PG_PARTS_ZERO) min = join(pg_load8(p->offsets[0], PG_F16), pg_load8(p->offsets[1], PG_F16));
      for (int i = 0; i < 2; i++) p->scales[i] += 2 * PG_OCTET, p->offsets[i] += 2 * PG_OCTET;
    }
    unpack(to->units[b], p, bits, parts == PG_PARTS_ZERO ? w->zero : 0);
    to->scale[b] = scale;
    fill_parts(to, b, p, parts, min);
  }
}

typedef int32_t tile_sums[MANY * 2 * PG_OCTET];

// acc += what the sums of block b are worth: one tile's, or those of the block's halves.
PG_INLINE void fold(__m512 acc[MANY], const tile_sums *sums, int tokens, const panel *w, size_t b, int parts, const float *xd,
                    const float *xs, const int16_t *xh) {
  const __m512 scale = w->scale[b], first = w->first[b], last = w->last[b], min = w->min[b];
  for (int t = 0; t < tokens; t++) {
    __m512 d = _mm512_set1_ps(xd[t]), p = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_load_si512(sums[0] + 2 * PG_OCTET * t)), first);
    if (parts != PG_PARTS_MIN) p = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_load_si512(sums[1] + 2 * PG_OCTET * t)), last, p);
    acc[t] = _mm512_fmadd_ps(p, _mm512_mul_ps(scale, d), acc[t]);
    if (parts == PG_PARTS_MIN) {
      acc[t] = _mm512_fmadd_ps(min, _mm512_set1_ps(xs[t]), acc[t]);
    } else if (parts == PG_PARTS_MINS) {
      int halves;
      __builtin_memcpy(&halves, xh + 2 * t, sizeof halves);
      __m512 sum = _mm512_cvtepi32_ps(_mm512_madd_epi16(w->pairs[b], _mm512_set1_epi32(halves)));
      acc[t] = _mm512_fmadd_ps(sum, _mm512_mul_ps(min, d), acc[t]);
    }
  }
}

// The sums of block b, if there is one: of all its features, or of its halves.
PG_INLINE void sum_block(tile_sums sums[2], const panel *w, size_t b, size_t n, const int8_t *q, size_t stride, int parts) {
  if (b >= n) return;
  const uint8_t *units = w->units[b];
  const int8_t *x = q + b * stride * PG_BLOCK;
  PRODUCT(0, 2, 4, sums[0], units, x, parts == PG_PARTS_ZERO);
  if (parts != PG_PARTS_MIN) PRODUCT(1, 3, 5, sums[1], units + PG_BLOCK / PG_UNIT * ROW / 2, x + PG_BLOCK / 2, parts == PG_PARTS_ZERO);
}

// acc += n blocks of the panel with tokens, a constant, from token `at` of x on, block 0 at the pointers of x. Sums are read two
// blocks after they were written, as in amx_int.c.
PG_INLINE void product(__m512 total[MANY], const panel *w, size_t n, const pg_tile *x, size_t at, int tokens, int parts) {
  enum { AHEAD = 2 };
  _Alignas(64) tile_sums sums[AHEAD + 1][2];
  const int8_t *q = x->q + at * PG_BLOCK;
  __m512 acc[MANY]; // in registers
  for (int t = 0; t < tokens; t++) acc[t] = total[t];
  for (size_t b = 0; b < AHEAD; b++) sum_block(sums[b], w, b, n, q, x->stride, parts);
  for (size_t b = 0; b < n; b++) {
    const size_t i = b * x->stride + at;
    sum_block(sums[(b + AHEAD) % (AHEAD + 1)], w, b + AHEAD, n, q, x->stride, parts);
    fold(acc, sums[b % (AHEAD + 1)], tokens, w, b, parts, x->d + i, x->s + i, x->h + 2 * i);
  }
  for (int t = 0; t < tokens; t++) total[t] = acc[t];
}

PG_INLINE void octets(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *xt, int bits, int parts, int tokens) {
  panel units;
  __m512 acc[TILES][MANY];
  const size_t blocks = w->padded / PG_BLOCK, tiles = xt->tokens / (size_t)tokens;
  configure(tokens, parts == PG_PARTS_MIN ? PG_BLOCK : PG_BLOCK / 2);
  for (size_t o = lo; o < hi; o += 2, y += 2 * PG_OCTET) {
    pair p = pair_at(w, o, hi);
    pg_tile x = *xt;
    for (size_t i = 0; i < tiles; i++)
      for (int t = 0; t < tokens; t++) acc[i][t] = _mm512_setzero_ps();
    for (size_t from = 0; from < blocks; from += PANEL) {
      const size_t n = blocks - from < PANEL ? blocks - from : PANEL, step = n * x.stride;
      fill(&units, w, &p, n, bits, parts);
      for (size_t i = 0; i < tiles; i++) product(acc[i], &units, n, &x, i * (size_t)tokens, tokens, parts);
      x.q += step * PG_BLOCK, x.d += step, x.s += step, x.h += 2 * step;
    }
    for (size_t i = 0; i < tiles; i++) write(y + i * (size_t)tokens * ldy, ldy, acc[i], tokens, o + 1 < hi);
  }
}

#define CASE(bits, parts) \
  case bits: \
    if (tokens == MANY) \
      octets(y, ldy, w, lo, hi, x, bits, parts, MANY); \
    else \
      octets(y, ldy, w, lo, hi, x, bits, parts, MANY / 2); \
    return

void pg_amx_mul_parts(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x, size_t tokens) {
  switch (w->bits) {
    CASE(2, PG_PARTS_MINS);
    CASE(3, PG_PARTS_ZERO);
    CASE(4, PG_PARTS_MIN);
    CASE(5, PG_PARTS_MIN);
    CASE(6, PG_PARTS_ZERO);
  }
}

PG_AMX_END
#endif
