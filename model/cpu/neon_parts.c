// NEON with dot products: integer products of K-quants and int8 activations.
//
// As in neon_int.c, but the sums of a block's halves are multiplied by the integer scales of the 16 or 32 features, so that a
// block is one 32-bit sum under the scale of its group. What is the same for a run of features, a zero point or a minimum, takes
// the integer sums of the activations' halves: a zero point as what a half's sum begins with. 32 features with scales up to 128
// times codes up to 63 stay below 2^26.
#include "neon.h"

#if defined(PG_NEON)
PG_DOTPROD_BEGIN

#include "neon_dot.h"

PG_INLINE pg_i8 mul(pg_i8 a, pg_i8 b) { return (pg_i8){{vmulq_s32(a.val[0], b.val[0]), vmulq_s32(a.val[1], b.val[1])}}; }

PG_INLINE pg_i8 mul_add(pg_i8 sum, pg_i8 a, pg_i8 b) {
  return (pg_i8){{vmlaq_s32(sum.val[0], a.val[0], b.val[0]), vmlaq_s32(sum.val[1], a.val[1], b.val[1])}};
}

// One block for all tokens. d, m: scale and negated minimum of the group; zero: of PG_PARTS_ZERO.
PG_INLINE void block(pg_f8 acc[PG_TILE], const uint8_t *c, const uint8_t *part, int bits, int parts, int tokens, const pg_tile *x,
                     size_t b, pg_f8 d, pg_f8 m, int zero) {
  int8x16_t w[8];
  pg_i8 dot[PG_TILE];
  const pg_parts8 s = pg_load_parts(part, parts);
  const size_t at = b * x->stride;
  for (int half = 0; half < 2; half++) {
    pg_unpack_half(w, c, bits, half);
    for (int t = 0; t < tokens; t++) {
      const size_t i = at + (size_t)t;
      const int8_t *q = x->q + i * PG_BLOCK + 16 * half;
      if (parts == PG_PARTS_MIN) {
        dot[t] = half_dot(half ? dot[t] : same(0), w, q);
        continue;
      }
      pg_i8 sum = half_dot(same(parts == PG_PARTS_ZERO ? -zero * x->h[2 * i + (size_t)half] : 0), w, q);
      dot[t] = half ? mul_add(dot[t], sum, s.last) : mul(sum, s.first);
    }
  }
  const pg_f8 min = pg_mul8(m, pg_float8(s.min_first));
  for (int t = 0; t < tokens; t++) {
    const size_t i = at + (size_t)t;
    if (parts == PG_PARTS_MIN) dot[t] = mul(dot[t], s.first);
    acc[t] = pg_fma8(acc[t], pg_float8(dot[t]), pg_scaled8(d, x->d[i]));
    if (parts == PG_PARTS_MIN) {
      acc[t] = pg_fma8_n(acc[t], min, x->s[i]);
    } else if (parts == PG_PARTS_MINS) {
      pg_i8 sum = mul_add(mul(s.min_first, same(x->h[2 * i])), s.min_last, same(x->h[2 * i + 1]));
      acc[t] = pg_fma8(acc[t], pg_float8(sum), pg_scaled8(m, x->d[i]));
    }
  }
}

PG_INLINE void octets(float *restrict y, size_t ldy, const pg_matrix *restrict w, size_t lo, size_t hi, const pg_tile *restrict xt,
                      int bits, int parts, int tokens) {
  const pg_tile x = *xt;
  const size_t bytes = pg_block_bytes(bits), groups = w->groups;
  const uint8_t *codes = w->codes + lo * pg_octet_bytes(w), *part = w->part_bytes + lo * pg_octet_parts(w);
  const uint8_t *scales = w->scales + lo * groups * PG_OCTET * 2, *mins = w->offsets + lo * groups * PG_OCTET * 2;
  for (size_t o = lo; o < hi; o++, y += PG_OCTET) {
    pg_f8 acc[PG_TILE];
    for (int t = 0; t < tokens; t++) acc[t] = pg_zero8();
    for (size_t b = 0; b < groups * PG_SUPER; scales += 2 * PG_OCTET, mins += 2 * PG_OCTET) {
      const pg_f8 d = pg_load8(scales, PG_F16), m = parts == PG_PARTS_ZERO ? pg_zero8() : pg_load8(mins, PG_F16);
      for (size_t end = b + PG_SUPER; b < end; b++, codes += bytes, part += PG_PARTS_BYTES) {
        pg_prefetch(codes, bytes);
        block(acc, codes, part, bits, parts, tokens, &x, b, d, m, w->zero);
      }
    }
    for (int t = 0; t < tokens; t++) pg_store8(y + (size_t)t * ldy, acc[t]);
  }
}

#define CASE(bits, parts, tokens) \
  case (bits)*8 + (tokens): \
    octets(y, ldy, w, lo, hi, x, bits, parts, tokens); \
    return
#define CASES(bits, parts) \
  CASE(bits, parts, 1); \
  CASE(bits, parts, 2); \
  CASE(bits, parts, 3); \
  CASE(bits, parts, 4)

// The width says which parts there are: see pg_parts.
void pg_neon_mul_parts(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x) {
  switch (w->bits * 8 + (int)x->tokens) {
    CASES(2, PG_PARTS_MINS);
    CASES(3, PG_PARTS_ZERO);
    CASES(4, PG_PARTS_MIN);
    CASES(5, PG_PARTS_MIN);
    CASES(6, PG_PARTS_ZERO);
  }
}

PG_DOTPROD_END
#endif
