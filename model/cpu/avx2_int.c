// AVX2: integer products of quantised weights and int8 activations; K-quants: avx2_parts.c.
#include "avx2.h"

#if defined(__x86_64__)
PG_AVX2_BEGIN

#define PG_MUL_INT pg_avx2_mul_int
#define PG_MUL_PARTS pg_avx2_mul_parts
#include "avx2_dot.h"
#include "int8_dots.h"
#include "int8_octets.h"

// The greatest and the second greatest of each pair of lanes, one of (*first, *second), one of (a, b).
PG_INLINE void two_greatest(__m128 *first, __m128 *second, __m128 a, __m128 b) {
  *second = _mm_max_ps(*second, _mm_max_ps(_mm_min_ps(*first, a), b));
  *first = _mm_max_ps(*first, a);
}

void pg_avx2_quantise(int8_t *q, float *d, float *s, int16_t *h, const float *x, size_t blocks, size_t stride, pg_peak *peak) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  pg_peak found = {0};
  for (size_t b = 0; b < blocks; b++, x += PG_BLOCK, q += PG_BLOCK * stride, d += stride, s += stride, h += 2 * stride) {
    __m256 v[4], a[4], sum = _mm256_setzero_ps();
    for (int i = 0; i < 4; i++) {
      v[i] = _mm256_loadu_ps(x + 8 * i);
      a[i] = _mm256_andnot_ps(sign, v[i]);
      sum = _mm256_fmadd_ps(v[i], _mm256_setzero_ps(), sum); // NaN if anything is NaN or infinite
    }
    const __m256 left = _mm256_max_ps(a[0], a[1]), right = _mm256_max_ps(a[2], a[3]), both = _mm256_max_ps(left, right);
    const __m256 rest = _mm256_max_ps(_mm256_min_ps(left, right), _mm256_max_ps(_mm256_min_ps(a[0], a[1]), _mm256_min_ps(a[2], a[3])));
    __m128 greatest = _mm256_castps256_ps128(both), second = _mm256_castps256_ps128(rest);
    two_greatest(&greatest, &second, _mm256_extractf128_ps(both, 1), _mm256_extractf128_ps(rest, 1));
    two_greatest(&greatest, &second, _mm_movehl_ps(greatest, greatest), _mm_movehl_ps(second, second));
    two_greatest(&greatest, &second, _mm_movehdup_ps(greatest), _mm_movehdup_ps(second));
    float top = _mm_cvtss_f32(greatest), poison = pg_hsum(sum);
    float inv = top > 1e-30f && poison == 0 ? 127 / top : 0; // below, 127/top could overflow
    __m256i p[4];
    for (int i = 0; i < 4; i++) {
      p[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], _mm256_set1_ps(inv)));
      if (inv == 0) p[i] = _mm256_setzero_si256();
    }
    __m256i lo = _mm256_packs_epi32(p[0], p[1]), hi = _mm256_packs_epi32(p[2], p[3]);
    __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(lo, hi), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)q, bytes);
    __m256i halves = _mm256_hadd_epi32(_mm256_add_epi32(p[0], p[1]), _mm256_add_epi32(p[2], p[3]));
    __m128i t = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
    t = _mm_hadd_epi32(t, t); // the first half's sum, the last half's
    int first = _mm_cvtsi128_si32(t), last = _mm_extract_epi32(t, 1);
    *d = top / 127 + poison;
    *s = *d * (float)(first + last);
    h[0] = (int16_t)first;
    h[1] = (int16_t)last;
    pg_add_block(&found, b, top, _mm_cvtss_f32(second), poison);
  }
  if (peak) *peak = found;
}

PG_AVX2_END
#endif
