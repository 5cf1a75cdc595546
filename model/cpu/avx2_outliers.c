// AVX2: products of the features of an input that are not rounded.
#include "avx2.h"
#include "outliers.h"

#if defined(__x86_64__)
PG_AVX2_BEGIN

// The weights of eight rows for one feature.
PG_INLINE __m256 column(const pg_matrix *w, size_t o, const pg_place *p) {
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
  return _mm256_add_ps(_mm256_mul_ps(d, _mm256_sub_ps(_mm256_cvtepi32_ps(q), side.zero)), min);
}

void pg_avx2_add_outliers(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_outlier *outliers, size_t stride,
                          size_t tokens, float *room) {
  pg_columns columns;
  for (; lo < hi; lo += PG_COLUMN_OCTETS, y += PG_COLUMN_OCTETS * PG_OCTET) {
    const size_t n = hi - lo < PG_COLUMN_OCTETS ? hi - lo : PG_COLUMN_OCTETS;
    pg_no_columns(&columns, room);
    for (size_t t = 0; t < tokens; t++) {
      float *to = y + t * ldy;
      for (const pg_outlier *x = outliers + t * stride; x->x != 0; x++) {
        int known;
        float *c = pg_column_for(&columns, x->feature, &known);
        if (!known) {
          const pg_place p = pg_place_of(w, x->feature);
          for (size_t i = 0; i < n; i++) _mm256_storeu_ps(c + PG_OCTET * i, column(w, lo + i, &p));
        }
        const __m256 v = _mm256_set1_ps(x->x);
        for (size_t i = 0; i < PG_OCTET * n; i += PG_OCTET)
          _mm256_storeu_ps(to + i, _mm256_fmadd_ps(v, _mm256_loadu_ps(c + i), _mm256_loadu_ps(to + i)));
      }
    }
  }
}

PG_AVX2_END
#endif
