// AVX2: integer products of K-quants and int8 activations.
//
// As in avx2_int.c, but the widening vpmaddwd multiplies with the integer scale of the 16 or 32 features instead of with one,
// so that a block is one 32-bit sum under the scale of its group. A sum of 16-bit pairs holds as many units as stay below
// 2^15: 8 of 2 to 4 bits (8*2*15*127 = 30480), 4 of 5 bits (31496), 2 of 6 bits (32004); and 32 features with scales up to 128
// times codes up to 63 stay below 2^26. What is the same for a run of features, a zero point or a minimum, takes the integer
// sums of the activations' halves.
#include "avx2.h"

#if defined(__x86_64__)
PG_AVX2_BEGIN

// The products of units first..first+3 with a token, times s.
PG_INLINE __m256i half_dot(const __m256i w[8], const int8_t *x, int first, int bits, __m256i s) {
  __m256i p[4];
  for (int i = 0; i < 4; i++) p[i] = _mm256_maddubs_epi16(w[first + i], pg_unit(x, first + i));
  __m256i a = _mm256_add_epi16(p[0], p[1]), b = _mm256_add_epi16(p[2], p[3]);
  if (bits == 6) return _mm256_add_epi32(_mm256_madd_epi16(a, s), _mm256_madd_epi16(b, s));
  return _mm256_madd_epi16(_mm256_add_epi16(a, b), s);
}

// The sum over a block of s * code * x for 8 rows.
PG_INLINE __m256i dot_parts(const __m256i w[8], const int8_t *x, int bits, int parts, const pg_parts8 *s) {
  if (bits > 4 || parts != PG_PARTS_MIN)
    return _mm256_add_epi32(half_dot(w, x, 0, bits, s->first), half_dot(w, x, 4, bits, s->last));
  __m256i a = _mm256_maddubs_epi16(w[0], pg_unit(x, 0)), b = _mm256_maddubs_epi16(w[1], pg_unit(x, 1));
  for (int u = 2; u < 8; u += 2) {
    a = _mm256_add_epi16(a, _mm256_maddubs_epi16(w[u], pg_unit(x, u)));
    b = _mm256_add_epi16(b, _mm256_maddubs_epi16(w[u + 1], pg_unit(x, u + 1)));
  }
  return _mm256_madd_epi16(_mm256_add_epi16(a, b), s->first);
}

PG_INLINE __m256i half_sums(const pg_tile *x, size_t at) {
  int v;
  __builtin_memcpy(&v, x->h + 2 * at, 4);
  return _mm256_set1_epi32(v);
}

// One block for all tokens. d, m: scale and negated minimum of the group; zero: of PG_PARTS_ZERO.
PG_INLINE void block_parts(__m256 acc[PG_TILE], const uint8_t *c, const uint8_t *part, int bits, int parts, int tokens,
                           const pg_tile *x, size_t b, __m256 d, __m256 m, __m256i zero) {
  __m256i w[8];
  const pg_parts8 s = pg_load_parts(part, parts);
  const __m256i zeros = _mm256_mullo_epi16(s.pair, zero);
  const __m256 min = _mm256_mul_ps(m, _mm256_cvtepi32_ps(s.min));
  pg_unpack8(w, c, bits);
  for (int t = 0; t < tokens; t++) {
    size_t at = b * (size_t)tokens + (size_t)t;
    __m256 xd = _mm256_set1_ps(x->d[at]);
    __m256i dot = dot_parts(w, x->q + at * PG_BLOCK, bits, parts, &s);
    if (parts == PG_PARTS_ZERO) dot = _mm256_sub_epi32(dot, _mm256_madd_epi16(zeros, half_sums(x, at)));
    acc[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), _mm256_mul_ps(d, xd), acc[t]);
    if (parts == PG_PARTS_MIN) {
      acc[t] = _mm256_fmadd_ps(min, _mm256_set1_ps(x->s[at]), acc[t]);
    } else if (parts == PG_PARTS_MINS) {
      __m256 sum = _mm256_cvtepi32_ps(_mm256_madd_epi16(s.min, half_sums(x, at)));
      acc[t] = _mm256_fmadd_ps(sum, _mm256_mul_ps(m, xd), acc[t]);
    }
  }
}

PG_INLINE void octets(float *restrict y, size_t ldy, const pg_matrix *restrict w, size_t lo, size_t hi, const pg_tile *restrict xt,
                      int bits, int parts, int tokens) {
  const pg_tile x = *xt;
  const size_t bytes = pg_block_bytes(bits), groups = w->groups;
  const uint8_t *codes = w->codes + lo * pg_octet_bytes(w), *part = w->part_bytes + lo * pg_octet_parts(w);
  const uint8_t *scales = w->scales + lo * groups * PG_OCTET * 2, *mins = w->offsets + lo * groups * PG_OCTET * 2;
  const __m256i zero = _mm256_set1_epi16((short)w->zero);
  for (size_t o = lo; o < hi; o++, y += PG_OCTET) {
    __m256 acc[PG_TILE];
    for (int t = 0; t < tokens; t++) acc[t] = _mm256_setzero_ps();
    for (size_t b = 0; b < groups * PG_SUPER; scales += 2 * PG_OCTET, mins += 2 * PG_OCTET) {
      __m256 d = pg_load8(scales, PG_F16), m = parts == PG_PARTS_ZERO ? _mm256_setzero_ps() : pg_load8(mins, PG_F16);
      for (size_t end = b + PG_SUPER; b < end; b++, codes += bytes, part += PG_PARTS_BYTES) {
        for (size_t i = 0; i < bytes; i += 64) _mm_prefetch((const char *)codes + PG_PREFETCH + i, _MM_HINT_T0);
        block_parts(acc, codes, part, bits, parts, tokens, &x, b, d, m, zero);
      }
    }
    for (int t = 0; t < tokens; t++) _mm256_storeu_ps(y + (size_t)t * ldy, acc[t]);
  }
}

#define CASE(bits, parts, tokens) \
  case (bits)*8 + (tokens): \
    octets(y, ldy, w, lo, hi, x, bits, parts, tokens); \
    return
#define CASES(bits, parts) \
  CASE(bits, parts, 1); \
  CASE(bits, parts, 2); \
  CASE(bits, parts, 3); \
  CASE(bits, parts, 4)

// The width says which parts there are: see pg_parts.
void pg_avx2_mul_parts(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x) {
  switch (w->bits * 8 + (int)x->tokens) {
    CASES(2, PG_PARTS_MINS);
    CASES(3, PG_PARTS_ZERO);
    CASES(4, PG_PARTS_MIN);
    CASES(5, PG_PARTS_MIN);
    CASES(6, PG_PARTS_ZERO);
  }
}

PG_AVX2_END
#endif
