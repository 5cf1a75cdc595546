// AMX: integer products of quantised weights and int8 activations for many tokens; few go to AVX-512-VNNI.
#include "amx.h"

#if defined(__x86_64__)
PG_AMX_BEGIN

// Some blocks of both octets, unpacked: acc += scale * (x.d * sum) + min * x.s.
typedef struct panel {
  _Alignas(64) uint8_t units[PANEL][PG_BLOCK / PG_UNIT * ROW];
  __m512 scale[PANEL], min[PANEL];
} panel;

// Whether min is zero throughout.
static int is_plain(const pg_matrix *w) { return w->offset == PG_OFFSET_ZERO && w->zero == 0; }

// Unpacks n blocks from block `from` on, which belongs to group *g if that begins there, else to the one before, whose scale and
// min stand in the panel's last place.
PG_INLINE void fill(panel *to, const pg_matrix *w, pair *p, size_t from, size_t n, size_t *g, int bits) {
  __m512 scale = to->scale[PANEL - 1], min = to->min[PANEL - 1];
  for (size_t b = 0; b < n; b++) {
    unpack(to->units[b], p, bits, 0);
    while (from + b == w->group_start[*g]) next_group(w, p, &scale, &min), ++*g; // act-order may leave groups without features
    to->scale[b] = scale;
    to->min[b] = min;
  }
}

// acc += what a block's sums are worth.
PG_INLINE void fold(__m512 acc[MANY], const int32_t *sums, int tokens, __m512 scale, __m512 min, int plain, const float *xd,
                    const float *xs) {
  for (int t = 0; t < tokens; t++) {
    __m512 p = _mm512_cvtepi32_ps(_mm512_load_si512(sums + 2 * PG_OCTET * t));
    acc[t] = _mm512_fmadd_ps(p, _mm512_mul_ps(scale, _mm512_set1_ps(xd[t])), acc[t]);
    if (!plain) acc[t] = _mm512_fmadd_ps(min, _mm512_set1_ps(xs[t]), acc[t]);
  }
}

// Two blocks' sums of a panel of n.
PG_INLINE void sum_two(int32_t sums[2][MANY * 2 * PG_OCTET], const panel *w, size_t b, size_t n, const int8_t *q, size_t stride,
                       int is_signed) {
  if (b < n) PRODUCT(0, 2, 4, sums[0], w->units[b], q + b * stride * PG_BLOCK, is_signed);
  if (b + 1 < n) PRODUCT(1, 3, 5, sums[1], w->units[b + 1], q + (b + 1) * stride * PG_BLOCK, is_signed);
}

// acc += n blocks of the panel with a tile of tokens, a constant, that begins at q, xd and xs. Sums are read two blocks after they
// were written: what a tile stores is read from the cache, once it has got there.
PG_INLINE void product(__m512 total[MANY], const panel *w, size_t n, const int8_t *q, const float *xd, const float *xs, size_t stride,
                       int tokens, int is_signed, int plain) {
  _Alignas(64) int32_t sums[2][2][MANY * 2 * PG_OCTET];
  __m512 acc[MANY]; // in registers
  for (int t = 0; t < tokens; t++) acc[t] = total[t];
  sum_two(sums[0], w, 0, n, q, stride, is_signed);
  for (size_t b = 0; b < n; b += 2) {
    const size_t now = b / 2 % 2;
    sum_two(sums[1 - now], w, b + 2, n, q, stride, is_signed);
    for (size_t i = b; i < b + 2 && i < n; i++)
      fold(acc, sums[now][i - b], tokens, w->scale[i], w->min[i], plain, xd + i * stride, xs + i * stride);
  }
  for (int t = 0; t < tokens; t++) total[t] = acc[t];
}

// Octets lo..hi for x->tokens / tokens tiles of 16 or 8 tokens, a constant.
PG_INLINE void octets(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x, int bits, int tokens) {
  panel units;
  __m512 acc[TILES][MANY];
  const size_t blocks = w->padded / PG_BLOCK, tiles = x->tokens / (size_t)tokens, stride = x->stride;
  const int plain = is_plain(w);
  for (size_t o = lo; o < hi; o += 2, y += 2 * PG_OCTET) {
    pair p = pair_at(w, o, hi);
    for (size_t i = 0; i < tiles; i++)
      for (int t = 0; t < tokens; t++) acc[i][t] = _mm512_setzero_ps();
    for (size_t from = 0, g = 0; from < blocks; from += PANEL) {
      const size_t n = blocks - from < PANEL ? blocks - from : PANEL;
      fill(&units, w, &p, from, n, &g, bits);
      for (size_t i = 0; i < tiles; i++) {
        const size_t at = from * stride + i * (size_t)tokens;
        if (plain)
          product(acc[i], &units, n, x->q + at * PG_BLOCK, x->d + at, x->s + at, stride, tokens, bits == 8, 1);
        else
          product(acc[i], &units, n, x->q + at * PG_BLOCK, x->d + at, x->s + at, stride, tokens, bits == 8, 0);
      }
    }
    for (size_t i = 0; i < tiles; i++) write(y + i * (size_t)tokens * ldy, ldy, acc[i], tokens, o + 1 < hi);
  }
}

#define CASE(bits) \
  case bits: \
    if (tokens == MANY) \
      octets(y, ldy, w, lo, hi, x, bits, MANY); \
    else \
      octets(y, ldy, w, lo, hi, x, bits, MANY / 2); \
    return

static void mul_tiles(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x, size_t tokens) {
  switch (w->bits) {
    CASE(2);
    CASE(3);
    CASE(4);
    CASE(5);
    CASE(8);
  }
}

// The tokens of x from at on, n of them.
static pg_tile part(const pg_tile *x, size_t at, size_t n) {
  pg_tile p = *x;
  p.q += at * PG_BLOCK, p.d += at, p.s += at, p.h += 2 * at;
  p.tokens = n;
  return p;
}

void pg_amx_mul_int(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x) {
  size_t at = 0;
  for (size_t n = MANY; n >= MANY / 2; n /= 2) {
    pg_tile some = part(x, at, (x->tokens - at) / n * n);
    if (some.tokens == 0) continue;
    if (w->parts) {
      pg_amx_mul_parts(y + at * ldy, ldy, w, lo, hi, &some, n);
    } else {
      configure((int)n, PG_BLOCK);
      mul_tiles(y + at * ldy, ldy, w, lo, hi, &some, n);
    }
    _tile_release();
    at += some.tokens;
  }
  for (; at < x->tokens; at += PG_TILE) {
    pg_tile few = part(x, at, x->tokens - at < PG_TILE ? x->tokens - at : PG_TILE);
    pg_avx512vnni_mul_int(y + at * ldy, ldy, w, lo, hi, &few);
  }
}

PG_AMX_END
#endif
