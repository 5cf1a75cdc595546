// NEON: products with float32 activations, for dense weights and for the precise mode.
//
// As in avx2_float.c, every output is one chain of fused multiply-adds over K in order, whatever is computed beside it. Three octets
// by four tokens are 24 registers of sums, 6 of weights and one with a token's feature.
#include "neon.h"

#if defined(PG_NEON)

// Features 4u..4u+3 of a unit, rows 0..3 and 4..7, as w = d*(q - zero) + min: dst[4][8].
PG_INLINE void decode_unit(float *dst, const int8x16_t unit[2], pg_f8 d, pg_f8 zero, pg_f8 min) {
  for (int j = 0; j < PG_UNIT; j++)
    for (int r = 0; r < 2; r++) {
      int32x4_t q = vshrq_n_s32(vshlq_s32(vreinterpretq_s32_s8(unit[r]), vdupq_n_s32(24 - 8 * j)), 24);
      float32x4_t w = vmulq_f32(d.val[r], vsubq_f32(vcvtq_f32_s32(q), zero.val[r]));
      vst1q_f32(dst + PG_OCTET * j + 4 * r, vaddq_f32(w, min.val[r]));
    }
}

PG_INLINE void decode_blocks(float *dst, const pg_matrix *w, size_t o, size_t from, size_t n, int bits) {
  const uint8_t *c = w->codes + o * pg_octet_bytes(w) + from / PG_BLOCK * pg_block_bytes(bits);
  size_t g = 0;
  for (size_t b = from / PG_BLOCK; b < (from + n) / PG_BLOCK; b++, c += pg_block_bytes(bits)) {
    while (b >= w->group_start[g + 1]) g++;
    const pg_sides8 side = pg_sides_of(w, o, g, b);
    for (int half = 0; half < 2; half++) {
      int8x16_t v[8];
      pg_unpack_half(v, c, bits, half);
      for (int i = 0; i < 8; i += 2, dst += PG_UNIT * PG_OCTET) decode_unit(dst, v + i, side.d[half], side.zero, side.min[half]);
    }
  }
}

PG_INLINE void decode_dense(float *dst, const uint8_t *p, int type, size_t n) {
  size_t step = PG_OCTET * pg_type_size(type);
  for (size_t k = 0; k < n; k++, p += step) {
    pg_store8(dst + PG_OCTET * k, pg_load8(p, type));
    pg_prefetch(p, step);
  }
}

#include "float_decode.h"

// y[tokens][octets * 8] += x[tokens][n] . w, w[octets][PG_CHUNK_K][8].
PG_INLINE void panel(float *y, size_t ldy, const float *w, const float *x, size_t ldx, size_t n, int tokens, int octets) {
  pg_f8 acc[PG_TILE][PG_FLOAT_OCTETS];
  for (int t = 0; t < tokens; t++)
    for (int o = 0; o < octets; o++) acc[t][o] = vld1q_f32_x2(y + (size_t)t * ldy + PG_OCTET * o);
  for (size_t k = 0; k < n; k++) {
    pg_f8 v[PG_FLOAT_OCTETS];
    for (int o = 0; o < octets; o++) v[o] = vld1q_f32_x2(w + ((size_t)o * PG_CHUNK_K + k) * PG_OCTET);
    for (int t = 0; t < tokens; t++)
      for (int o = 0; o < octets; o++) acc[t][o] = pg_fma8_n(acc[t][o], v[o], x[(size_t)t * ldx + k]);
  }
  for (int t = 0; t < tokens; t++)
    for (int o = 0; o < octets; o++) pg_store8(y + (size_t)t * ldy + PG_OCTET * o, acc[t][o]);
}

PG_INLINE void panels(float *y, size_t ldy, const float *w, const float *x, size_t ldx, size_t n, size_t m, int octets) {
  size_t t = 0;
  for (; t + PG_TILE <= m; t += PG_TILE) panel(y + t * ldy, ldy, w, x + t * ldx, ldx, n, PG_TILE, octets);
  for (; t < m; t++) panel(y + t * ldy, ldy, w, x + t * ldx, ldx, n, 1, octets);
}

// One token, dense weights of four (or one) octets.
PG_INLINE void dense_token(float *y, const uint8_t *c, size_t stride, int type, const float *x, size_t n, int octets) {
  pg_f8 acc[4];
  size_t step = PG_OCTET * pg_type_size(type);
  for (int o = 0; o < octets; o++) acc[o] = pg_zero8();
  for (size_t k = 0; k < n; k++, c += step) {
    for (int o = 0; o < octets; o++) {
      const uint8_t *p = c + (size_t)o * stride;
      pg_prefetch(p, step);
      acc[o] = pg_fma8_n(acc[o], pg_load8(p, type), x[k]);
    }
  }
  for (int o = 0; o < octets; o++) pg_store8(y + PG_OCTET * o, acc[o]);
}

PG_INLINE void dense_row(float *y, const pg_matrix *w, size_t lo, size_t hi, const float *x, int type) {
  size_t stride = pg_octet_bytes(w), o = lo;
  for (; o + 4 <= hi; o += 4, y += 4 * PG_OCTET) dense_token(y, w->codes + o * stride, stride, type, x, w->in, 4);
  for (; o < hi; o++, y += PG_OCTET) dense_token(y, w->codes + o * stride, stride, type, x, w->in, 1);
}

void pg_neon_mul_float(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const float *x, size_t ldx, size_t m,
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

#endif
