// What the aarch64 files share. Every aarch64 has what is used here; the integer products need more, which their files say.
//
// Eight rows are two registers of four. Float operations are those of the AVX2 files in their order, so that both give the same bits.
#ifndef PEREGRINE_NEON_H
#define PEREGRINE_NEON_H

#include "isa.h"
#include "target.h"

#if defined(PG_NEON)
#include <arm_neon.h>

#define PG_DOTPROD_BEGIN PG_TARGET_BEGIN("arch=armv8.2-a+dotprod")
#define PG_DOTPROD_END PG_TARGET_END

typedef float32x4x2_t pg_f8; // of eight rows
typedef int32x4x2_t pg_i8;

void pg_neon_quantise(int8_t *q, float *d, float *s, int16_t *h, const float *x, size_t blocks, size_t stride, pg_peak *peak);
void pg_neon_add_outliers(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_outlier *outliers, size_t stride,
                          size_t tokens, float *room);
void pg_neon_mul_int(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x);
void pg_neon_mul_parts(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x); // for K-quants
void pg_neoni8mm_mul_int(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x); // up to 16 tokens
void pg_neon_mul_float(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const float *x, size_t ldx, size_t m,
                       float *scratch);
void pg_neon_scores(float *s, const float *const q[PG_VECTORS], size_t n, const uint8_t *k, int type, size_t keys, size_t d);
void pg_neon_weigh(float *const o[PG_VECTORS], const float *p, size_t n, const uint8_t *v, int type, size_t keys, size_t dv);

enum { PG_NEON_VECTORS = 4 }; // query vectors at once: with 16 keys, 16 registers of sums and 4 of keys

// Bytes of weights that are asked for ahead of their use, as in avx2.h.
enum { PG_PREFETCH = 1536 };

PG_INLINE void pg_prefetch(const uint8_t *p, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(p + PG_PREFETCH + i);
}

// Eight elements of a type as float32.
PG_INLINE pg_f8 pg_load8(const uint8_t *p, int type) {
  uint8x16_t v = vld1q_u8(p);
  if (type == PG_F32) return (pg_f8){{vreinterpretq_f32_u8(v), vreinterpretq_f32_u8(vld1q_u8(p + 16))}};
  if (type == PG_F16) {
    float16x8_t h = vreinterpretq_f16_u8(v);
    return (pg_f8){{vcvt_f32_f16(vget_low_f16(h)), vcvt_high_f32_f16(h)}};
  }
  uint16x8_t b = vreinterpretq_u16_u8(v);
  return (pg_f8){{vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(b), 16)), vreinterpretq_f32_u32(vshll_high_n_u16(b, 16))}};
}

PG_INLINE pg_f8 pg_zero8(void) { return (pg_f8){{vdupq_n_f32(0), vdupq_n_f32(0)}}; }

PG_INLINE pg_f8 pg_scaled8(pg_f8 v, float by) { return (pg_f8){{vmulq_n_f32(v.val[0], by), vmulq_n_f32(v.val[1], by)}}; }

PG_INLINE pg_f8 pg_mul8(pg_f8 a, pg_f8 b) { return (pg_f8){{vmulq_f32(a.val[0], b.val[0]), vmulq_f32(a.val[1], b.val[1])}}; }

// sum + a * b
PG_INLINE pg_f8 pg_fma8(pg_f8 sum, pg_f8 a, pg_f8 b) {
  return (pg_f8){{vfmaq_f32(sum.val[0], a.val[0], b.val[0]), vfmaq_f32(sum.val[1], a.val[1], b.val[1])}};
}

// sum + a * b for a number b
PG_INLINE pg_f8 pg_fma8_n(pg_f8 sum, pg_f8 a, float b) {
  return (pg_f8){{vfmaq_n_f32(sum.val[0], a.val[0], b), vfmaq_n_f32(sum.val[1], a.val[1], b)}};
}

PG_INLINE void pg_store8(float *p, pg_f8 v) {
  vst1q_f32(p, v.val[0]);
  vst1q_f32(p + 4, v.val[1]);
}

PG_INLINE pg_f8 pg_float8(pg_i8 v) { return (pg_f8){{vcvtq_f32_s32(v.val[0]), vcvtq_f32_s32(v.val[1])}}; }

PG_INLINE pg_i8 pg_widen8(int16x8_t v) { return (pg_i8){{vmovl_s16(vget_low_s16(v)), vmovl_high_s16(v)}}; }

// Zero points of eight rows as float32.
PG_INLINE pg_f8 pg_zeros8(const uint8_t *p) { return pg_float8(pg_widen8(vmovl_s8(vreinterpret_s8_u8(vld1_u8(p))))); }

// What a group adds to scale*code. offsets is not read with PG_OFFSET_ZERO.
PG_INLINE pg_f8 pg_group_min(const uint8_t *offsets, int offset, pg_f8 scale, float zero) {
  if (offset == PG_OFFSET_MIN) return pg_load8(offsets, PG_F16);
  if (offset == PG_OFFSET_ZERO) return pg_scaled8(scale, -zero);
  pg_f8 z = pg_zeros8(offsets);
  return pg_mul8(scale, (pg_f8){{vsubq_f32(vdupq_n_f32(0), z.val[0]), vsubq_f32(vdupq_n_f32(0), z.val[1])}});
}

// Units 4*half..4*half+3 of a block, two registers each: w[2*i] has rows 0..3 and w[2*i+1] rows 4..7 of the i-th.
PG_INLINE void pg_unpack_half(int8x16_t w[8], const uint8_t *c, int bits, int half) {
  for (int i = 0; i < 8; i++) {
    const int p = i / 2, u = 4 * half + p, at = i % 2 * 16;
    uint8x16_t v;
    if (bits == 8) {
      v = vld1q_u8(c + 32 * u + at);
    } else if (bits >= 4) {
      v = vld1q_u8(c + 32 * p + at);
      v = half ? v >> 4 : v & 15;
    } else {
      v = vld1q_u8(c + 32 * half + at) >> 2 * p & 3;
    }
    if (bits == 6) {
      uint8x16_t high = vld1q_u8(c + 128 + 32 * half + at);
      v |= (p < 2 ? high << (4 - 2 * p) : high >> (2 * p - 4)) & (3 << 4);
    }
    if (bits == 3 || bits == 5) {
      const int top = bits - 1;
      uint8x16_t high = vld1q_u8(c + 32 * top + at); // v2 of 3 bits, v4 of 5
      v |= (u < top ? high << (top - u) : high >> (u - top)) & (uint8_t)(1 << top);
    }
    w[i] = vreinterpretq_s8_u8(v);
  }
}

// The integers of a block's parts: scales of its first and last 16 features, and minima where there are some. With PG_PARTS_MIN
// all belong to the whole block, and stand under first.
typedef struct pg_parts8 {
  pg_i8 first, last, min_first, min_last;
} pg_parts8;

PG_INLINE pg_parts8 pg_load_parts(const uint8_t *p, int parts) {
  uint8x8x2_t v = vld2_u8(p); // the first byte of each row, the second
  pg_parts8 r = {0};
  if (parts == PG_PARTS_ZERO) {
    r.first = pg_widen8(vmovl_s8(vreinterpret_s8_u8(v.val[0])));
    r.last = pg_widen8(vmovl_s8(vreinterpret_s8_u8(v.val[1])));
    return r;
  }
  uint8x8_t a = v.val[0], b = v.val[1];
  if (parts == PG_PARTS_MINS) {
    r.min_first = pg_widen8(vreinterpretq_s16_u16(vmovl_u8(vshr_n_u8(a, 4))));
    r.min_last = pg_widen8(vreinterpretq_s16_u16(vmovl_u8(vshr_n_u8(b, 4))));
    a = vand_u8(a, vdup_n_u8(15));
    b = vand_u8(b, vdup_n_u8(15));
  }
  r.first = pg_widen8(vreinterpretq_s16_u16(vmovl_u8(a)));
  r.last = pg_widen8(vreinterpretq_s16_u16(vmovl_u8(b)));
  if (parts == PG_PARTS_MIN) {
    r.min_first = r.min_last = r.last;
    r.last = r.first;
  }
  return r;
}

// What eight rows have beside the codes of a block, for its first and its last 16 features: w = d*(q - zero) + min.
typedef struct pg_sides8 {
  pg_f8 d[2], min[2], zero;
} pg_sides8;

// pg_sides_of returns that of octet o and block b in group g. Integers times scale and minimum are exact.
PG_INLINE pg_sides8 pg_sides_of(const pg_matrix *w, size_t o, size_t g, size_t b) {
  const size_t side = (o * w->groups + g) * PG_OCTET;
  pg_sides8 r = {.zero = pg_zero8()};
  r.d[0] = r.d[1] = pg_load8(w->scales + side * pg_type_size(w->type), w->type);
  r.min[0] = r.min[1] = r.zero;
  if (w->offset == PG_OFFSET_MIN) {
    r.min[0] = r.min[1] = pg_load8(w->offsets + 2 * side, PG_F16);
  } else if (w->offset == PG_OFFSET_ZEROS) {
    r.zero = pg_zeros8(w->offsets + side);
  } else {
    r.zero.val[0] = r.zero.val[1] = vdupq_n_f32((float)w->zero);
  }
  if (!w->parts) return r;
  const pg_parts8 s = pg_load_parts(w->part_bytes + o * pg_octet_parts(w) + b * PG_PARTS_BYTES, w->parts);
  r.d[0] = pg_mul8(r.d[0], pg_float8(s.first));
  r.d[1] = pg_mul8(r.d[1], pg_float8(s.last));
  if (w->parts != PG_PARTS_ZERO) {
    r.min[0] = pg_mul8(r.min[0], pg_float8(s.min_first));
    r.min[1] = pg_mul8(r.min[1], pg_float8(w->parts == PG_PARTS_MIN ? s.min_first : s.min_last));
  }
  return r;
}

// The sum of eight lanes, in the order of avx2.h.
PG_INLINE float pg_hsum(pg_f8 v) {
  float32x4_t a = vaddq_f32(v.val[0], v.val[1]);
  float32x2_t b = vadd_f32(vget_low_f32(a), vget_high_f32(a));
  return vget_lane_f32(b, 0) + vget_lane_f32(b, 1);
}

#endif
#endif
