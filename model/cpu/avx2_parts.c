// AVX2: integer products of K-quants and int8 activations.
//
// As in avx2_int.c, but the widening vpmaddwd multiplies with the integer scale of the 16 or 32 features instead of with one,
// so that a block is one 32-bit sum under the scale of its group. A sum of 16-bit pairs holds as many units as stay below
// 2^15: 8 of 2 to 4 bits (8*2*15*127 = 30480), 4 of 5 bits (31496), 2 of 6 bits (32004); and 32 features with scales up to 128
// times codes up to 63 stay below 2^26.
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

#define PG_MUL_PARTS pg_avx2_mul_parts
#include "int8_parts.h"

PG_AVX2_END
#endif
