// AVX-512: scores and weighted sums of attention, over one segment of keys; the loops of avx2_attention.c with 16 elements a register
// and up to eight query vectors. The order of sums is theirs, and so are the bits.
#include "avx2.h"

#if defined(__x86_64__)
PG_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512vl")

// Sixteen elements of which the second eight stand `apart` bytes behind the first.
PG_INLINE __m512 load_two(const uint8_t *p, size_t apart, int type) {
  if (type == PG_F16) {
    __m128i a = _mm_loadu_si128((const __m128i *)p), b = _mm_loadu_si128((const __m128i *)(p + apart));
    return _mm512_cvtph_ps(_mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1));
  }
  __m256 a = pg_load8(p, type), b = pg_load8(p + apart, type);
  return _mm512_castpd_ps(_mm512_insertf64x4(_mm512_castps_pd(_mm512_castps256_ps512(a)), _mm256_castps_pd(b), 1));
}

// Scores of 16 * wide keys: pairs of blocks of eight.
PG_INLINE void score_pairs(float *s, const float *const q[PG_VECTORS], int n, const uint8_t *k, int type, size_t d, int wide) {
  __m512 acc[PG_VECTORS][2];
  const size_t step = 8 * pg_type_size(type), stride = d * step;
  for (int v = 0; v < n; v++)
    for (int w = 0; w < wide; w++) acc[v][w] = _mm512_setzero_ps();
  for (size_t i = 0; i < d; i++) {
    __m512 key[2];
    for (int w = 0; w < wide; w++) key[w] = load_two(k + 2 * (size_t)w * stride + i * step, stride, type);
    for (int v = 0; v < n; v++) {
      __m512 a = _mm512_set1_ps(q[v][i]);
      for (int w = 0; w < wide; w++) acc[v][w] = _mm512_fmadd_ps(key[w], a, acc[v][w]);
    }
  }
  for (int v = 0; v < n; v++)
    for (int w = 0; w < wide; w++) _mm512_storeu_ps(s + v * PG_SEGMENT + 16 * w, acc[v][w]);
}

// Scores of a last block of eight keys.
PG_INLINE void score_block(float *s, const float *const q[PG_VECTORS], int n, const uint8_t *k, int type, size_t d) {
  __m256 acc[PG_VECTORS];
  const size_t step = 8 * pg_type_size(type);
  for (int v = 0; v < n; v++) acc[v] = _mm256_setzero_ps();
  for (size_t i = 0; i < d; i++) {
    __m256 key = pg_load8(k + i * step, type);
    for (int v = 0; v < n; v++) acc[v] = _mm256_fmadd_ps(key, _mm256_set1_ps(q[v][i]), acc[v]);
  }
  for (int v = 0; v < n; v++) _mm256_storeu_ps(s + v * PG_SEGMENT, acc[v]);
}

PG_INLINE void score_all(float *s, const float *const q[PG_VECTORS], const uint8_t *k, size_t keys, size_t d, int n, int type) {
  const size_t blocks = (keys + 7) / 8, stride = 8 * d * pg_type_size(type);
  size_t b = 0;
  for (; b + 4 <= blocks; b += 4) score_pairs(s + 8 * b, q, n, k + b * stride, type, d, 2);
  for (; b + 2 <= blocks; b += 2) score_pairs(s + 8 * b, q, n, k + b * stride, type, d, 1);
  if (b < blocks) score_block(s + 8 * b, q, n, k + b * stride, type, d);
}

// Features i..i+16*wide of the weighted sums.
PG_INLINE void weigh_strip(float *const o[PG_VECTORS], const float *p, int n, const uint8_t *v, int type, size_t keys, size_t dv,
                           size_t i, int wide) {
  __m512 acc[PG_VECTORS][2];
  const size_t size = pg_type_size(type);
  for (int a = 0; a < n; a++)
    for (int w = 0; w < wide; w++) acc[a][w] = _mm512_setzero_ps();
  for (size_t j = 0; j < keys; j++) {
    __m512 value[2];
    for (int w = 0; w < wide; w++) value[w] = load_two(v + (j * dv + i + 16 * (size_t)w) * size, 8 * size, type);
    for (int a = 0; a < n; a++) {
      __m512 weight = _mm512_set1_ps(p[(size_t)a * PG_SEGMENT + j]);
      for (int w = 0; w < wide; w++) acc[a][w] = _mm512_fmadd_ps(value[w], weight, acc[a][w]);
    }
  }
  for (int a = 0; a < n; a++)
    for (int w = 0; w < wide; w++) _mm512_storeu_ps(o[a] + i + 16 * w, acc[a][w]);
}

// The last eight features.
PG_INLINE void weigh_last(float *const o[PG_VECTORS], const float *p, int n, const uint8_t *v, int type, size_t keys, size_t dv,
                          size_t i) {
  __m256 acc[PG_VECTORS];
  for (int a = 0; a < n; a++) acc[a] = _mm256_setzero_ps();
  for (size_t j = 0; j < keys; j++) {
    __m256 value = pg_load8(v + (j * dv + i) * pg_type_size(type), type);
    for (int a = 0; a < n; a++) acc[a] = _mm256_fmadd_ps(value, _mm256_set1_ps(p[(size_t)a * PG_SEGMENT + j]), acc[a]);
  }
  for (int a = 0; a < n; a++) _mm256_storeu_ps(o[a] + i, acc[a]);
}

PG_INLINE void weigh_all(float *const o[PG_VECTORS], const float *p, const uint8_t *v, size_t keys, size_t dv, int n, int type) {
  size_t i = 0;
  for (; i + 32 <= dv; i += 32) weigh_strip(o, p, n, v, type, keys, dv, i, 2);
  for (; i + 16 <= dv; i += 16) weigh_strip(o, p, n, v, type, keys, dv, i, 1);
  if (i < dv) weigh_last(o, p, n, v, type, keys, dv, i);
}

// Calls f with the number of query vectors as a constant.
#define CASE(f, n, type, ...) \
  case n: \
    f(__VA_ARGS__, n, type); \
    break
#define EACH(f, type, ...) \
  switch (n) { \
    CASE(f, 1, type, __VA_ARGS__); \
    CASE(f, 2, type, __VA_ARGS__); \
    CASE(f, 3, type, __VA_ARGS__); \
    CASE(f, 4, type, __VA_ARGS__); \
    CASE(f, 5, type, __VA_ARGS__); \
    CASE(f, 6, type, __VA_ARGS__); \
    CASE(f, 7, type, __VA_ARGS__); \
    CASE(f, 8, type, __VA_ARGS__); \
  }

void pg_avx512_scores(float *s, const float *const q[PG_VECTORS], size_t n, const uint8_t *k, int type, size_t keys, size_t d) {
  if (type == PG_F16) {
    EACH(score_all, PG_F16, s, q, k, keys, d)
  } else {
    EACH(score_all, PG_F32, s, q, k, keys, d)
  }
}

void pg_avx512_weigh(float *const o[PG_VECTORS], const float *p, size_t n, const uint8_t *v, int type, size_t keys, size_t dv) {
  if (type == PG_F16) {
    EACH(weigh_all, PG_F16, o, p, v, keys, dv)
  } else {
    EACH(weigh_all, PG_F32, o, p, v, keys, dv)
  }
}

PG_TARGET_END
#endif
