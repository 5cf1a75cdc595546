// NEON with dot products: integer products of quantised weights and int8 activations.
//
// sdot adds the products of a unit's 4 features to the 32-bit sums of four rows. It takes a token's unit as a lane of a register that
// holds four of them, so nothing is broadcast. Codes of up to 6 bits are signed bytes as they are. A block is unpacked in halves of
// four units: eight registers of weights leave room for the sums of four tokens.
#include "neon.h"

#if defined(PG_NEON)
PG_DOTPROD_BEGIN

#include "neon_dot.h"

#include "int8_sides.h"

// One block for all tokens: acc += d * (dot * x.d) + m * x.s. plain: m is zero throughout.
PG_INLINE void block(pg_f8 acc[PG_TILE], const uint8_t *c, int bits, int tokens, int plain, const pg_tile *x, size_t b, pg_f8 d,
                     pg_f8 m) {
  int8x16_t w[8];
  pg_i8 dot[PG_TILE];
  const int8_t *q = x->q + b * x->stride * PG_BLOCK;
  const float *xd = x->d + b * x->stride, *xs = x->s + b * x->stride;
  for (int half = 0; half < 2; half++) {
    pg_unpack_half(w, c, bits, half);
    for (int t = 0; t < tokens; t++) dot[t] = half_dot(half ? dot[t] : same(0), w, q + PG_BLOCK * t + 16 * half);
  }
  for (int t = 0; t < tokens; t++) {
    acc[t] = pg_fma8(acc[t], pg_float8(dot[t]), pg_scaled8(d, xd[t]));
    if (!plain) acc[t] = pg_fma8_n(acc[t], m, xs[t]);
  }
}

// Octets lo..hi. side: what a group carries, as a constant.
PG_INLINE void octets(float *restrict y, size_t ldy, const pg_matrix *restrict w, size_t lo, size_t hi, const pg_tile *restrict xt,
                      int bits, int tokens, int side) {
  const pg_tile x = *xt;
  const size_t bytes = pg_block_bytes(bits), groups = w->groups, size = side == SIDE_ANY ? pg_type_size(w->type) : 2;
  const size_t offset_size = pg_offset_size(w);
  const uint32_t *start = w->group_start;
  const uint8_t *codes = w->codes + lo * pg_octet_bytes(w), *scales = w->scales + lo * groups * PG_OCTET * size;
  const uint8_t *offsets = w->offsets + lo * groups * PG_OCTET * offset_size;
  const int type = side == SIDE_ANY ? w->type : PG_F16;
  const int offset = side == SIDE_ANY ? w->offset : side == SIDE_MIN ? PG_OFFSET_MIN : PG_OFFSET_ZERO;
  for (size_t o = lo; o < hi; o++, y += PG_OCTET) {
    pg_f8 acc[PG_TILE];
    for (int t = 0; t < tokens; t++) acc[t] = pg_zero8();
    for (size_t g = 0, b = 0; g < groups; g++, scales += PG_OCTET * size, offsets += PG_OCTET * offset_size) {
      pg_f8 d = pg_load8(scales, type), m = pg_zero8();
      if (side != SIDE_PLAIN) m = pg_group_min(offsets, offset, d, (float)w->zero);
      for (size_t end = side == SIDE_ANY ? start[g + 1] : b + 1; b < end; b++, codes += bytes) {
        pg_prefetch(codes, bytes);
        block(acc, codes, bits, tokens, side == SIDE_PLAIN, &x, b, d, m);
      }
    }
    for (int t = 0; t < tokens; t++) pg_store8(y + (size_t)t * ldy, acc[t]);
  }
}

#define PG_MUL_INT pg_neon_mul_int
#define PG_MUL_PARTS pg_neon_mul_parts
#include "int8_dispatch.h"

PG_DOTPROD_END
#endif
