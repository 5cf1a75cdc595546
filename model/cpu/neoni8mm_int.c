// NEON with int8 matrix products: integer products of quantised weights and int8 activations for many tokens; few go to sdot.
//
// smmla adds the products of two rows with two tokens over 8 features, twice what sdot does: sums stand as [row 0 × token 0, row 0 ×
// token 1, row 1 × token 0, row 1 × token 1], and so do the float sums until the end. Its weights are two units, interleaved; that
// is done once for all tokens, some blocks at a time, in memory that stays in the first-level cache. The operations on floats are
// those of neon_int.c and neon_parts.c in their order, so that the bits are the same.
#include "neon.h"

#if defined(PG_NEON)
PG_TARGET_BEGIN("arch=armv8.2-a+dotprod+i8mm")

enum {
  GROUP = 4,        // tokens that are multiplied at once: 8 registers of sums, 8 of integers
  GROUPS = 4,       // of them for which weights are unpacked once
  PANEL = PG_SUPER, // blocks that are unpacked ahead: a group of a K-quant
};

// Something of eight rows for two tokens each: [r] has rows 2r and 2r+1.
typedef struct rows_f { float32x4_t r[4]; } rows_f;
typedef struct rows_i { int32x4_t r[4]; } rows_i;

// Some blocks of an octet, unpacked: acc += scale * (x.d * sum) + min * x.s, with the integers of parts where there are some.
typedef struct panel {
  int8x16_t units[PANEL][4][4]; // [features 8p..8p+7][rows 2r, 2r+1]
  rows_f scale[PANEL], min[PANEL];
  rows_i first[PANEL], last[PANEL], min_first[PANEL], min_last[PANEL];
} panel;

// The octet that is multiplied, at its next block.
typedef struct octet {
  const uint8_t *codes, *scales, *offsets, *parts;
} octet;

PG_INLINE rows_f twice_f(pg_f8 v) {
  rows_f t;
  for (int i = 0; i < 2; i++) t.r[2 * i] = vzip1q_f32(v.val[i], v.val[i]), t.r[2 * i + 1] = vzip2q_f32(v.val[i], v.val[i]);
  return t;
}

PG_INLINE rows_i twice_i(pg_i8 v) {
  rows_i t;
  for (int i = 0; i < 2; i++) t.r[2 * i] = vzip1q_s32(v.val[i], v.val[i]), t.r[2 * i + 1] = vzip2q_s32(v.val[i], v.val[i]);
  return t;
}

// Rows a and a + 1 of two units side by side.
PG_INLINE int8x16_t join(int8x16_t unit, int8x16_t next, int upper) {
  int32x4_t a = vreinterpretq_s32_s8(unit), b = vreinterpretq_s32_s8(next);
  return vreinterpretq_s8_s32(upper ? vzip2q_s32(a, b) : vzip1q_s32(a, b));
}

// A block's units, less a zero point that is a constant 0 but for PG_PARTS_ZERO.
PG_INLINE void unpack(int8x16_t to[4][4], const uint8_t *c, int bits, int zero) {
  for (int half = 0; half < 2; half++) {
    int8x16_t w[8];
    pg_unpack_half(w, c, bits, half);
    for (int i = 0; i < 8 && zero; i++) w[i] = vsubq_s8(w[i], vdupq_n_s8((int8_t)zero));
    for (int p = 0; p < 2; p++)
      for (int r = 0; r < 4; r++) to[2 * half + p][r] = join(w[4 * p + r / 2], w[4 * p + 2 + r / 2], r % 2);
  }
}

// Unpacks n blocks from block `from` on. A group that begins there is *g, else its scale and min stand in the panel's last place.
PG_INLINE void fill(panel *to, const pg_matrix *w, octet *o, size_t from, size_t n, size_t *g, int bits, int parts) {
  const size_t bytes = pg_block_bytes(bits), step = PG_OCTET * pg_type_size(w->type), offsets = PG_OCTET * pg_offset_size(w);
  rows_f scale = to->scale[PANEL - 1], min = to->min[PANEL - 1];
  pg_f8 m = pg_zero8();
  for (size_t b = 0; b < n; b++, o->codes += bytes) {
    pg_prefetch(o->codes, bytes);
    unpack(to->units[b], o->codes, bits, parts == PG_PARTS_ZERO ? w->zero : 0);
    while (from + b == w->group_start[*g]) { // act-order may leave groups without features
      pg_f8 d = pg_load8(o->scales, w->type);
      if (parts != PG_PARTS_ZERO) m = pg_group_min(o->offsets, w->offset, d, (float)w->zero);
      scale = twice_f(d), min = twice_f(m);
      o->scales += step, o->offsets += offsets, ++*g;
    }
    to->scale[b] = scale, to->min[b] = min;
    if (!parts) continue;
    const pg_parts8 s = pg_load_parts(o->parts, parts);
    to->first[b] = twice_i(s.first), to->last[b] = twice_i(s.last);
    if (parts == PG_PARTS_MIN) to->min[b] = twice_f(pg_mul8(m, pg_float8(s.min_first)));
    if (parts == PG_PARTS_MINS) to->min_first[b] = twice_i(s.min_first), to->min_last[b] = twice_i(s.min_last);
    o->parts += PG_PARTS_BYTES;
  }
}

// A number of each of two tokens, for two rows.
PG_INLINE float32x4_t pair_f(const float *p) {
  float32x2_t v = vld1_f32(p);
  return vcombine_f32(v, v);
}

PG_INLINE int32x4_t pair_i(const int16_t *h) { return (int32x4_t){h[0], h[2], h[0], h[2]}; }

// sum += the products of one half of a block with two pairs of tokens.
PG_INLINE void multiply(rows_i sum[2], const int8x16_t w[4][4], const int8_t *q, int half) {
  for (int p = 2 * half; p < 2 * half + 2; p++)
    for (int i = 0; i < 2; i++) {
      const int8_t *x = q + 2 * PG_BLOCK * i + 8 * p;
      const int8x16_t both = vcombine_s8(vld1_s8(x), vld1_s8(x + PG_BLOCK));
      for (int r = 0; r < 4; r++) sum[i].r[r] = vmmlaq_s32(sum[i].r[r], w[p][r], both);
    }
}

// acc += what the sums of block b are worth for a pair of tokens.
PG_INLINE void fold(rows_f *acc, const rows_i *dot, const panel *w, size_t b, int parts, int plain, const float *xd, const float *xs,
                    const int16_t *xh) {
  const float32x4_t d = pair_f(xd), s = pair_f(xs);
  for (int r = 0; r < 4; r++) {
    float32x4_t a = vfmaq_f32(acc->r[r], vcvtq_f32_s32(dot->r[r]), vmulq_f32(w->scale[b].r[r], d));
    if (parts == PG_PARTS_MINS) {
      int32x4_t sum = vmlaq_s32(vmulq_s32(w->min_first[b].r[r], pair_i(xh)), w->min_last[b].r[r], pair_i(xh + 1));
      a = vfmaq_f32(a, vcvtq_f32_s32(sum), vmulq_f32(w->min[b].r[r], d));
    } else if (!plain) {
      a = vfmaq_f32(a, w->min[b].r[r], s);
    }
    acc->r[r] = a;
  }
}

// acc += n blocks of the panel with four tokens, block 0 at the pointers of x. plain: min is zero throughout.
PG_INLINE void product(rows_f total[2], const panel *w, size_t n, const pg_tile *x, size_t at, int parts, int plain) {
  rows_f acc[2] = {total[0], total[1]}; // in registers
  for (size_t b = 0; b < n; b++, at += x->stride) {
    rows_i dot[2] = {0};
    multiply(dot, w->units[b], x->q + at * PG_BLOCK, 0);
    if (parts == PG_PARTS_MINS || parts == PG_PARTS_ZERO) {
      rows_i last[2] = {0};
      multiply(last, w->units[b], x->q + at * PG_BLOCK, 1);
      for (int i = 0; i < 2; i++)
        for (int r = 0; r < 4; r++)
          dot[i].r[r] = vmlaq_s32(vmulq_s32(dot[i].r[r], w->first[b].r[r]), last[i].r[r], w->last[b].r[r]);
    } else {
      multiply(dot, w->units[b], x->q + at * PG_BLOCK, 1);
      for (int i = 0; i < 2 && parts; i++)
        for (int r = 0; r < 4; r++) dot[i].r[r] = vmulq_s32(dot[i].r[r], w->first[b].r[r]);
    }
    for (size_t i = 0; i < 2; i++) {
      const size_t t = at + 2 * i;
      fold(&acc[i], &dot[i], w, b, parts, plain, x->d + t, x->s + t, x->h + 2 * t);
    }
  }
  total[0] = acc[0], total[1] = acc[1];
}

// A pair of tokens' sums, a token a row of y.
PG_INLINE void write(float *y, size_t ldy, const rows_f *acc) {
  pg_store8(y, (pg_f8){{vuzp1q_f32(acc->r[0], acc->r[1]), vuzp1q_f32(acc->r[2], acc->r[3])}});
  pg_store8(y + ldy, (pg_f8){{vuzp2q_f32(acc->r[0], acc->r[1]), vuzp2q_f32(acc->r[2], acc->r[3])}});
}

// Octets lo..hi for x->tokens / GROUP groups of tokens.
PG_INLINE void octets(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *xt, int bits, int parts) {
  panel units;
  rows_f acc[GROUPS][2];
  const size_t blocks = w->padded / PG_BLOCK, tiles = xt->tokens / GROUP;
  const int plain = parts == PG_PARTS_ZERO || (w->offset == PG_OFFSET_ZERO && w->zero == 0);
  for (size_t i = lo; i < hi; i++, y += PG_OCTET) {
    octet o = {w->codes + i * pg_octet_bytes(w), w->scales + i * w->groups * PG_OCTET * pg_type_size(w->type),
               w->offsets + i * w->groups * PG_OCTET * pg_offset_size(w), w->parts ? w->part_bytes + i * pg_octet_parts(w) : NULL};
    __builtin_memset(acc, 0, sizeof acc);
    for (size_t from = 0, g = 0; from < blocks; from += PANEL) {
      const size_t n = blocks - from < PANEL ? blocks - from : PANEL;
      fill(&units, w, &o, from, n, &g, bits, parts);
      for (size_t t = 0; t < tiles; t++) {
        if (plain)
          product(acc[t], &units, n, xt, from * xt->stride + t * GROUP, parts, 1);
        else
          product(acc[t], &units, n, xt, from * xt->stride + t * GROUP, parts, 0);
      }
    }
    for (size_t t = 0; t < 2 * tiles; t++) write(y + 2 * t * ldy, ldy, &acc[t / 2][t % 2]);
  }
}

#define CASE(bits, parts) \
  case (bits)*8 + (parts): \
    octets(y, ldy, w, lo, hi, x, bits, parts); \
    return

static void mul_groups(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x) {
  switch (w->bits * 8 + w->parts) {
    CASE(2, PG_PARTS_NONE);
    CASE(3, PG_PARTS_NONE);
    CASE(4, PG_PARTS_NONE);
    CASE(5, PG_PARTS_NONE);
    CASE(8, PG_PARTS_NONE);
    CASE(2, PG_PARTS_MINS);
    CASE(3, PG_PARTS_ZERO);
    CASE(4, PG_PARTS_MIN);
    CASE(5, PG_PARTS_MIN);
    CASE(6, PG_PARTS_ZERO);
  }
}

void pg_neoni8mm_mul_int(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x) {
  pg_tile rest = *x;
  const size_t many = x->tokens / GROUP * GROUP;
  if (many) mul_groups(y, ldy, w, lo, hi, x);
  rest.q += many * PG_BLOCK, rest.d += many, rest.s += many, rest.h += 2 * many;
  rest.tokens -= many;
  if (rest.tokens) pg_neon_mul_int(y + many * ldy, ldy, w, lo, hi, &rest);
}

PG_TARGET_END
#endif
