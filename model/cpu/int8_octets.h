// Products of quantised weights and int8 activations, eight rows at a time, over the dot products of a file that includes this:
//
//   dot_unsigned(w, x, bits)         32 features of 8 rows, unpacked to unsigned bytes, with one token
//   dot_signed(dot, c, x, tokens)    the same for signed 8-bit codes and all tokens at once
//   PG_MUL_INT, PG_MUL_PARTS         the names of mul_int here and in int8_parts.h
//
// The sums of a block are integers, so that every set gives the same bits.

#include "int8_sides.h"

// One block for all tokens: acc += d * (dot * x.d) + m * x.s. plain: m is zero throughout.
PG_INLINE void block(__m256 acc[PG_TILE], const uint8_t *c, int bits, int tokens, int plain, const pg_tile *x, size_t b, __m256 d,
                     __m256 m) {
  __m256i w[8], dot[PG_TILE];
  const int8_t *q = x->q + b * x->stride * PG_BLOCK;
  const float *xd = x->d + b * x->stride, *xs = x->s + b * x->stride;
  if (bits == 8) {
    dot_signed(dot, c, q, tokens);
  } else {
    pg_unpack8(w, c, bits);
  }
  for (int t = 0; t < tokens; t++) {
    __m256i p = bits == 8 ? dot[t] : dot_unsigned(w, q + PG_BLOCK * t, bits);
    acc[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(p), _mm256_mul_ps(d, _mm256_set1_ps(xd[t])), acc[t]);
    if (!plain) acc[t] = _mm256_fmadd_ps(m, _mm256_set1_ps(xs[t]), acc[t]);
  }
}

// Octets lo..hi. side: what a group carries, as a constant; see enum side.
PG_INLINE void octets(float *restrict y, size_t ldy, const pg_matrix *restrict w, size_t lo, size_t hi, const pg_tile *restrict xt,
                      int bits, int tokens, int side) {
  const pg_tile x = *xt;
  const size_t bytes = pg_block_bytes(bits), groups = w->groups, size = side == SIDE_ANY ? pg_type_size(w->type) : 2;
  const uint32_t *start = w->group_start;
  const uint8_t *codes = w->codes + lo * pg_octet_bytes(w), *scales = w->scales + lo * groups * PG_OCTET * size;
  const uint8_t *offsets = w->offsets + lo * groups * PG_OCTET * pg_offset_size(w);
  const int type = side == SIDE_ANY ? w->type : PG_F16, offset = w->offset;
  const __m256 zero = _mm256_set1_ps(-(float)w->zero);
  for (size_t o = lo; o < hi; o++, y += PG_OCTET) {
    __m256 acc[PG_TILE];
    for (int t = 0; t < tokens; t++) acc[t] = _mm256_setzero_ps();
    for (size_t g = 0, b = 0; g < groups; g++, scales += PG_OCTET * size) {
      __m256 d = pg_load8(scales, type), m = _mm256_setzero_ps();
      if (side == SIDE_MIN || (side == SIDE_ANY && offset == PG_OFFSET_MIN)) {
        m = pg_load8(offsets, PG_F16);
        offsets += 2 * PG_OCTET;
      } else if (side == SIDE_ANY && offset == PG_OFFSET_ZEROS) {
        m = _mm256_mul_ps(d, _mm256_sub_ps(m, pg_zeros8(offsets)));
        offsets += PG_OCTET;
      } else if (side != SIDE_PLAIN) {
        m = _mm256_mul_ps(d, zero);
      }
      for (size_t end = side == SIDE_ANY ? start[g + 1] : b + 1; b < end; b++, codes += bytes) {
        for (size_t i = 0; i < bytes; i += 64) _mm_prefetch((const char *)codes + PG_PREFETCH + i, _MM_HINT_T0);
        block(acc, codes, bits, tokens, side == SIDE_PLAIN, &x, b, d, m);
      }
    }
    for (int t = 0; t < tokens; t++) _mm256_storeu_ps(y + (size_t)t * ldy, acc[t]);
  }
}

#include "int8_dispatch.h"
