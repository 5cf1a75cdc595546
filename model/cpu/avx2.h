// What the AVX2 files share. Each begins with PG_AVX2_BEGIN and ends with PG_AVX2_END: these files alone may use AVX2, FMA and
// F16C, and run only where isa.c has found them.
#ifndef PEREGRINE_AVX2_H
#define PEREGRINE_AVX2_H

#include "isa.h"

#if defined(__x86_64__)

#if defined(__clang__)
#define PG_AVX2_BEGIN _Pragma("clang attribute push(__attribute__((target(\"avx2,fma,f16c\"))), apply_to = function)")
#define PG_AVX2_END _Pragma("clang attribute pop")
#else
#define PG_AVX2_BEGIN _Pragma("GCC push_options") _Pragma("GCC target(\"avx2,fma,f16c\")")
#define PG_AVX2_END _Pragma("GCC pop_options")
#endif

#include <immintrin.h>

#define PG_INLINE static inline __attribute__((always_inline))

void pg_avx2_quantise(int8_t *q, float *d, float *s, const float *x, size_t blocks, size_t tokens);
void pg_avx2_mul_int(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x);
void pg_avx2_mul_float(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const float *x, size_t ldx, size_t m,
                       float *scratch);
void pg_avx2_scores(float *s, const float *const q[PG_TILE], size_t n, const uint8_t *k, int type, size_t keys, size_t d);
void pg_avx2_weigh(float *const o[PG_TILE], const float *p, size_t n, const uint8_t *v, int type, size_t keys, size_t dv);

PG_AVX2_BEGIN

// Eight elements of a type as float32.
PG_INLINE __m256 pg_load8(const uint8_t *p, int type) {
  if (type == PG_F16) return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
  if (type == PG_F32) return _mm256_loadu_ps((const float *)p);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p)), 16));
}

// Zero points of eight rows as float32.
PG_INLINE __m256 pg_zeros8(const uint8_t *p) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

PG_INLINE float pg_hsum(__m256 v) {
  __m128 a = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  a = _mm_add_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_add_ss(a, _mm_movehdup_ps(a)));
}

PG_AVX2_END

#endif
#endif
