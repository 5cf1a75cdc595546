// AVX2: integer products of quantised weights and int8 activations.
//
// A block of 8 rows and 32 features becomes 8 vectors of unsigned bytes, one per unit. vpmaddubsw multiplies a unit by 4
// features of a token, broadcast, into pairs of 16-bit sums; 8 units of 4-bit codes stay below 8*2*15*127 = 30480, so a block
// needs one widening vpmaddwd; 4 units of 5-bit codes stay below 4*2*31*127 = 31496, so it needs two. 8-bit codes are signed and take |w| * (x with w's sign): at most 2*128*127 = 32512, widened
// unit by unit.
#include "avx2.h"

#if defined(__x86_64__)
PG_AVX2_BEGIN

// The 32-feature dot products of 8 rows with one token.
PG_INLINE __m256i dot_unsigned(const __m256i w[8], const int8_t *x, int bits) {
  const __m256i one = _mm256_set1_epi16(1);
  __m256i a = _mm256_maddubs_epi16(w[0], pg_unit(x, 0)), b = _mm256_maddubs_epi16(w[1], pg_unit(x, 1));
  for (int u = 2; u < 8; u += 2) {
    a = _mm256_add_epi16(a, _mm256_maddubs_epi16(w[u], pg_unit(x, u)));
    b = _mm256_add_epi16(b, _mm256_maddubs_epi16(w[u + 1], pg_unit(x, u + 1)));
  }
  if (bits == 5) return _mm256_add_epi32(_mm256_madd_epi16(a, one), _mm256_madd_epi16(b, one));
  return _mm256_madd_epi16(_mm256_add_epi16(a, b), one);
}

// The same for signed 8-bit codes and all tokens at once.
PG_INLINE void dot_signed(__m256i dot[PG_TILE], const uint8_t *c, const int8_t *x, int tokens) {
  for (int t = 0; t < tokens; t++) dot[t] = _mm256_setzero_si256();
  for (int u = 0; u < 8; u++) {
    __m256i w = _mm256_load_si256((const __m256i *)c + u), a = _mm256_abs_epi8(w);
    for (int t = 0; t < tokens; t++) {
      __m256i p = _mm256_maddubs_epi16(a, _mm256_sign_epi8(pg_unit(x + 32 * t, u), w));
      dot[t] = _mm256_add_epi32(dot[t], _mm256_madd_epi16(p, _mm256_set1_epi16(1)));
    }
  }
}

#define PG_MUL_INT pg_avx2_mul_int
#define PG_MUL_PARTS pg_avx2_mul_parts
#include "int8_octets.h"

void pg_avx2_quantise(int8_t *q, float *d, float *s, int16_t *h, const float *x, size_t blocks, size_t stride) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  for (size_t b = 0; b < blocks; b++, x += PG_BLOCK, q += PG_BLOCK * stride, d += stride, s += stride, h += 2 * stride) {
    __m256 v[4], amax = _mm256_setzero_ps(), sum = _mm256_setzero_ps();
    for (int i = 0; i < 4; i++) {
      v[i] = _mm256_loadu_ps(x + 8 * i);
      amax = _mm256_max_ps(_mm256_andnot_ps(sign, v[i]), amax);
      sum = _mm256_fmadd_ps(v[i], _mm256_setzero_ps(), sum); // NaN if anything is NaN or infinite
    }
    __m128 a = _mm_max_ps(_mm256_castps256_ps128(amax), _mm256_extractf128_ps(amax, 1));
    a = _mm_max_ps(a, _mm_movehl_ps(a, a));
    float top = _mm_cvtss_f32(_mm_max_ss(a, _mm_movehdup_ps(a))), poison = pg_hsum(sum);
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
  }
}

PG_AVX2_END
#endif
