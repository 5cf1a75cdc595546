// AVX2: products of the features of an input that are not rounded.
#include "avx2.h"
#include "outliers.h"

#if defined(__x86_64__)
PG_AVX2_BEGIN

// The weights of eight rows for one feature.
PG_INLINE void column(float *c, const pg_matrix *w, size_t o, const pg_place *p) {
  const uint8_t *codes = w->codes + o * pg_octet_bytes(w);
  __m256i q = _mm256_srl_epi32(_mm256_loadu_si256((const __m256i *)(codes + p->low)), _mm_cvtsi32_si128(p->low_shift));
  q = _mm256_and_si256(q, _mm256_set1_epi32(p->low_mask));
  if (p->high_mask) {
    __m256i high = _mm256_srl_epi32(_mm256_loadu_si256((const __m256i *)(codes + p->high)), _mm_cvtsi32_si128(p->high_shift));
    high = _mm256_and_si256(high, _mm256_set1_epi32(p->high_mask));
    q = _mm256_or_si256(q, _mm256_sll_epi32(high, _mm_cvtsi32_si128(p->high_to)));
  }
  const __m256i flip = _mm256_set1_epi32(p->flip);
  q = _mm256_sub_epi32(_mm256_xor_si256(q, flip), flip);
  const pg_sides8 side = pg_sides_of(w, o, p->group, p->block);
  const __m256 d = p->half ? side.d[1] : side.d[0], min = p->half ? side.min[1] : side.min[0];
  _mm256_storeu_ps(c, _mm256_add_ps(_mm256_mul_ps(d, _mm256_sub_ps(_mm256_cvtepi32_ps(q), side.zero)), min));
}

PG_INLINE void add_column(float *y, const float *c, float x) {
  _mm256_storeu_ps(y, _mm256_fmadd_ps(_mm256_set1_ps(x), _mm256_loadu_ps(c), _mm256_loadu_ps(y)));
}

#define PG_ADD_OUTLIERS pg_avx2_add_outliers
#include "outliers_add.h"

PG_AVX2_END
#endif
