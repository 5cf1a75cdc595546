// AVX2: products with float32 activations, for dense weights and for the precise mode.
//
// Every output is one chain of fused multiply-adds over K in order, whatever is computed beside it. One token of a dense matrix
// reads the weights straight into the chain, four octets at a time to hide its latency. Otherwise PG_FLOAT_OCTETS octets by
// PG_CHUNK_K features are decoded into 12 KiB that stay in the first-level cache, and all tokens are multiplied with them.
#include "avx2.h"

#if defined(__x86_64__)
PG_AVX2_BEGIN

// Features 4u..4u+3 of a unit of unsigned codes, as w = d*(q - z) or d*q + m: dst[4][8].
PG_INLINE void decode_unit(float *dst, __m256i bytes, int is_signed, __m256 d, __m256 zero, __m256 min) {
  for (int j = 0; j < PG_UNIT; j++) {
    __m256i q = is_signed ? _mm256_srai_epi32(_mm256_slli_epi32(bytes, 24 - 8 * j), 24)
                          : _mm256_and_si256(_mm256_srli_epi32(bytes, 8 * j), _mm256_set1_epi32(255));
    __m256 w = _mm256_mul_ps(d, _mm256_sub_ps(_mm256_cvtepi32_ps(q), zero));
    _mm256_storeu_ps(dst + PG_OCTET * j, _mm256_add_ps(w, min));
  }
}

PG_INLINE void decode_blocks(float *dst, const pg_matrix *w, size_t o, size_t from, size_t n, int bits) {
  const uint8_t *c = w->codes + o * pg_octet_bytes(w) + from / PG_BLOCK * pg_block_bytes(bits);
  size_t g = 0;
  for (size_t b = from / PG_BLOCK; b < (from + n) / PG_BLOCK; b++, c += pg_block_bytes(bits)) {
    while (b >= w->group_start[g + 1]) g++;
    const pg_sides8 side = pg_sides_of(w, o, g, b);
    __m256i v[8];
    pg_unpack8(v, c, bits);
    for (int u = 0; u < 8; u++, dst += PG_UNIT * PG_OCTET)
      decode_unit(dst, v[u], bits == 8, side.d[u / 4], side.zero, side.min[u / 4]);
  }
}

PG_INLINE void decode_dense(float *dst, const uint8_t *p, int type, size_t n) {
  size_t step = PG_OCTET * pg_type_size(type);
  for (size_t k = 0; k < n; k++, p += step) {
    _mm256_storeu_ps(dst + PG_OCTET * k, pg_load8(p, type));
    _mm_prefetch((const char *)p + PG_PREFETCH, _MM_HINT_T0);
  }
}

#include "float_decode.h"

// y[tokens][octets * 8] += x[tokens][n] . w, w[octets][PG_CHUNK_K][8].
PG_INLINE void panel(float *y, size_t ldy, const float *w, const float *x, size_t ldx, size_t n, int tokens, int octets) {
  __m256 acc[PG_TILE][PG_FLOAT_OCTETS];
  for (int t = 0; t < tokens; t++)
    for (int o = 0; o < octets; o++) acc[t][o] = _mm256_loadu_ps(y + (size_t)t * ldy + PG_OCTET * o);
  for (size_t k = 0; k < n; k++) {
    __m256 v[PG_FLOAT_OCTETS];
    for (int o = 0; o < octets; o++) v[o] = _mm256_loadu_ps(w + ((size_t)o * PG_CHUNK_K + k) * PG_OCTET);
    for (int t = 0; t < tokens; t++) {
      __m256 a = _mm256_set1_ps(x[(size_t)t * ldx + k]);
      for (int o = 0; o < octets; o++) acc[t][o] = _mm256_fmadd_ps(v[o], a, acc[t][o]);
    }
  }
  for (int t = 0; t < tokens; t++)
    for (int o = 0; o < octets; o++) _mm256_storeu_ps(y + (size_t)t * ldy + PG_OCTET * o, acc[t][o]);
}

PG_INLINE void panels(float *y, size_t ldy, const float *w, const float *x, size_t ldx, size_t n, size_t m, int octets) {
  size_t t = 0;
  for (; t + PG_TILE <= m; t += PG_TILE) panel(y + t * ldy, ldy, w, x + t * ldx, ldx, n, PG_TILE, octets);
  for (; t < m; t++) panel(y + t * ldy, ldy, w, x + t * ldx, ldx, n, 1, octets);
}

// One token, dense weights of four (or one) octets.
PG_INLINE void dense_token(float *y, const uint8_t *c, size_t stride, int type, const float *x, size_t n, int octets) {
  __m256 acc[4];
  size_t step = PG_OCTET * pg_type_size(type);
  for (int o = 0; o < octets; o++) acc[o] = _mm256_setzero_ps();
  for (size_t k = 0; k < n; k++, c += step) {
    __m256 a = _mm256_set1_ps(x[k]);
    for (int o = 0; o < octets; o++) {
      const uint8_t *p = c + (size_t)o * stride;
      _mm_prefetch((const char *)p + PG_PREFETCH, _MM_HINT_T0);
      acc[o] = _mm256_fmadd_ps(pg_load8(p, type), a, acc[o]);
    }
  }
  for (int o = 0; o < octets; o++) _mm256_storeu_ps(y + PG_OCTET * o, acc[o]);
}

PG_INLINE void dense_row(float *y, const pg_matrix *w, size_t lo, size_t hi, const float *x, int type) {
  size_t stride = pg_octet_bytes(w), o = lo;
  for (; o + 4 <= hi; o += 4, y += 4 * PG_OCTET) dense_token(y, w->codes + o * stride, stride, type, x, w->in, 4);
  for (; o < hi; o++, y += PG_OCTET) dense_token(y, w->codes + o * stride, stride, type, x, w->in, 1);
}

void pg_avx2_mul_float(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const float *x, size_t ldx, size_t m,
                       float *scratch) {
  if (m == 1 && !w->bits) {
    if (w->type == PG_F16) {
      dense_row(y, w, lo, hi, x, PG_F16);
    } else if (w->type == PG_BF16) {
      dense_row(y, w, lo, hi, x, PG_BF16);
    } else {
      dense_row(y, w, lo, hi, x, PG_F32);
    }
    return;
  }
  for (size_t o = lo; o < hi; o += PG_FLOAT_OCTETS, y += PG_FLOAT_OCTETS * PG_OCTET) {
    size_t n = hi - o < PG_FLOAT_OCTETS ? hi - o : PG_FLOAT_OCTETS;
    for (size_t t = 0; t < m; t++) __builtin_memset(y + t * ldy, 0, n * PG_OCTET * sizeof *y);
    for (size_t k = 0; k < w->padded; k += PG_CHUNK_K) {
      size_t len = w->padded - k < PG_CHUNK_K ? w->padded - k : PG_CHUNK_K;
      for (size_t i = 0; i < n; i++) decode(scratch + i * PG_CHUNK_K * PG_OCTET, w, o + i, k, len);
      if (n == 3) {
        panels(y, ldy, scratch, x + k, ldx, len, m, 3);
      } else if (n == 2) {
        panels(y, ldy, scratch, x + k, ldx, len, m, 2);
      } else {
        panels(y, ldy, scratch, x + k, ldx, len, m, 1);
      }
    }
  }
}

PG_AVX2_END
#endif
