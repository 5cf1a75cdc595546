// What the x86 files share. Each begins with PG_AVX2_BEGIN, or PG_TARGET_BEGIN and more, and ends with its end: these files alone may
// use such instructions, and run only where isa.c has found them.
#ifndef PEREGRINE_AVX2_H
#define PEREGRINE_AVX2_H

#include "isa.h"
#include "target.h"

#if defined(__x86_64__)

#define PG_AVX2_BEGIN PG_TARGET_BEGIN("avx2,fma,f16c")
#define PG_AVX2_END PG_TARGET_END

#include <immintrin.h>

void pg_avx2_quantise(int8_t *q, float *d, float *s, int16_t *h, const float *x, size_t blocks, size_t stride, pg_peak *peak);
void pg_avx2_add_outliers(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_outlier *outliers, size_t stride,
                          size_t tokens, float *room);
void pg_avx2_mul_int(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x);
void pg_avx2_mul_float(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const float *x, size_t ldx, size_t m,
                       float *scratch);
void pg_avx2_scores(float *s, const float *const q[PG_VECTORS], size_t n, const uint8_t *k, int type, size_t keys, size_t d);
void pg_avx2_weigh(float *const o[PG_VECTORS], const float *p, size_t n, const uint8_t *v, int type, size_t keys, size_t dv);

void pg_avx512_scores(float *s, const float *const q[PG_VECTORS], size_t n, const uint8_t *k, int type, size_t keys, size_t d);
void pg_avx512_weigh(float *const o[PG_VECTORS], const float *p, size_t n, const uint8_t *v, int type, size_t keys, size_t dv);

void pg_avxvnni_mul_int(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x);
void pg_avx512vnni_mul_int(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x);
void pg_amx_mul_int(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x); // up to 64 tokens
void pg_amx_to_bf16(uint16_t *to, const float *x, size_t n);
void pg_amx_mul_bf16(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const uint16_t *x, size_t rows);
void pg_amx_keys_bf16(uint16_t *to, const uint8_t *k, int type, size_t keys, size_t d);
void pg_amx_values_bf16(uint16_t *to, const uint8_t *v, int type, size_t keys, size_t d);
void pg_amx_tiles_bf16(float *c, size_t ldc, const uint16_t *a, size_t tiles, const uint16_t *w, size_t columns, size_t blocks);

// avx2_parts.c: pg_avx2_mul_int for K-quants.
void pg_avx2_mul_parts(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x);
void pg_avxvnni_mul_parts(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x);
void pg_avx512vnni_mul_parts(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x);

enum { PG_AVX2_VECTORS = 4 }; // query vectors of pg_avx2_scores and _weigh: there are 16 registers

// Bytes of weights that are asked for ahead of their use: about 100 ns at one core's share of the memory.
enum { PG_PREFETCH = 1536 };

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

// Brings bits of bytes to place `to` from place `from` and leaves those of the mask.
PG_INLINE __m256i pg_bits_at(__m256i bytes, int from, int to, int mask) {
  if (from > to) bytes = _mm256_srli_epi16(bytes, from - to);
  if (from < to) bytes = _mm256_slli_epi16(bytes, to - from);
  return _mm256_and_si256(bytes, _mm256_set1_epi8((char)(mask << to)));
}

// Unit u of a block: codes of 2 to 6 bits unsigned, of 8 bits as they are. See layout.h.
PG_INLINE __m256i pg_unit_of(const uint8_t *c, int bits, int u) {
  const __m256i *v = (const __m256i *)c;
  if (bits == 8) return _mm256_load_si256(v + u);
  __m256i w = bits >= 4 ? pg_bits_at(_mm256_load_si256(v + u % 4), u / 4 * 4, 0, 15)
                        : pg_bits_at(_mm256_load_si256(v + u / 4), u % 4 * 2, 0, 3);
  if (bits == 6) w = _mm256_or_si256(w, pg_bits_at(_mm256_load_si256(v + 4 + u / 4), u % 4 * 2, 4, 3));
  if (bits == 3) w = _mm256_or_si256(w, pg_bits_at(_mm256_load_si256(v + 2), u, 2, 1));
  if (bits == 5) w = _mm256_or_si256(w, pg_bits_at(_mm256_load_si256(v + 4), u, 4, 1));
  return w;
}

// All units of a block.
PG_INLINE void pg_unpack8(__m256i w[8], const uint8_t *c, int bits) {
  for (int u = 0; u < 8; u++) w[u] = pg_unit_of(c, bits, u);
}

// A unit's four features of a token, for every row.
PG_INLINE __m256i pg_unit(const int8_t *x, int u) {
  int v;
  __builtin_memcpy(&v, x + PG_UNIT * u, 4);
  return _mm256_set1_epi32(v);
}

// The integers of a block's parts: 16-bit pairs of a row, [s of the first 16 features, of the last], in both places of `first`
// and `last`. min: the minima of PG_PARTS_MIN as 32-bit integers, of PG_PARTS_MINS as pairs.
typedef struct pg_parts8 {
  __m256i pair, first, last, min;
} pg_parts8;

PG_INLINE pg_parts8 pg_load_parts(const uint8_t *p, int parts) {
  __m128i bytes = _mm_load_si128((const __m128i *)p);
  pg_parts8 r = {.pair = parts == PG_PARTS_ZERO ? _mm256_cvtepi8_epi16(bytes) : _mm256_cvtepu8_epi16(bytes)};
  if (parts == PG_PARTS_MINS) {
    r.min = _mm256_srli_epi16(r.pair, 4);
    r.pair = _mm256_and_si256(r.pair, _mm256_set1_epi16(15));
  }
  r.first = _mm256_blend_epi16(r.pair, _mm256_slli_epi32(r.pair, 16), 0xaa);
  if (parts == PG_PARTS_MIN) {
    r.min = _mm256_srli_epi32(r.pair, 16);
    r.last = r.first;
  } else {
    r.last = _mm256_blend_epi16(r.pair, _mm256_srli_epi32(r.pair, 16), 0x55);
  }
  return r;
}

// What eight rows have beside the codes of a block, for its first and its last 16 features: w = d*(q - zero) + min.
typedef struct pg_sides8 {
  __m256 d[2], min[2], zero;
} pg_sides8;

// pg_sides_of returns that of octet o and block b in group g. Integers times scale and minimum are exact.
PG_INLINE pg_sides8 pg_sides_of(const pg_matrix *w, size_t o, size_t g, size_t b) {
  const size_t side = (o * w->groups + g) * PG_OCTET;
  pg_sides8 r = {.zero = _mm256_setzero_ps()};
  r.d[0] = r.d[1] = pg_load8(w->scales + side * pg_type_size(w->type), w->type);
  r.min[0] = r.min[1] = r.zero;
  if (w->offset == PG_OFFSET_MIN) {
    r.min[0] = r.min[1] = pg_load8(w->offsets + 2 * side, PG_F16);
  } else {
    r.zero = w->offset == PG_OFFSET_ZEROS ? pg_zeros8(w->offsets + side) : _mm256_set1_ps((float)w->zero);
  }
  if (!w->parts) return r;
  const pg_parts8 s = pg_load_parts(w->part_bytes + o * pg_octet_parts(w) + b * PG_PARTS_BYTES, w->parts);
  const __m256i *pairs[2] = {&s.first, &s.last};
  for (int half = 0; half < 2; half++) {
    r.d[half] = _mm256_mul_ps(r.d[half], _mm256_cvtepi32_ps(_mm256_srai_epi32(*pairs[half], 16)));
    __m256i m = s.min;
    if (w->parts == PG_PARTS_MINS) m = half ? _mm256_srli_epi32(m, 16) : _mm256_and_si256(m, _mm256_set1_epi32(0xffff));
    if (w->parts != PG_PARTS_ZERO) r.min[half] = _mm256_mul_ps(r.min[half], _mm256_cvtepi32_ps(m));
  }
  return r;
}

PG_INLINE float pg_hsum(__m256 v) {
  __m128 a = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  a = _mm_add_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_add_ss(a, _mm_movehdup_ps(a)));
}

PG_AVX2_END

#endif
#endif
