// NEON: products of the features of an input that are not rounded, with the operations of avx2_outliers.c.
#include "neon.h"
#include "outliers.h"

#if defined(PG_NEON)
// The weights of eight rows for one feature.
PG_INLINE void column(float *c, const pg_matrix *w, size_t o, const pg_place *p) {
  const uint8_t *codes = w->codes + o * pg_octet_bytes(w);
  const pg_sides8 side = pg_sides_of(w, o, p->group, p->block);
  const pg_f8 d = p->half ? side.d[1] : side.d[0], min = p->half ? side.min[1] : side.min[0];
  pg_f8 v;
  for (int r = 0; r < 2; r++) {
    uint32x4_t low = vreinterpretq_u32_u8(vld1q_u8(codes + p->low + 16 * r)), high = vreinterpretq_u32_u8(vld1q_u8(codes + p->high + 16 * r));
    low = vandq_u32(vshlq_u32(low, vdupq_n_s32(-p->low_shift)), vdupq_n_u32((uint32_t)p->low_mask));
    high = vandq_u32(vshlq_u32(high, vdupq_n_s32(-p->high_shift)), vdupq_n_u32((uint32_t)p->high_mask));
    int32x4_t q = vreinterpretq_s32_u32(vorrq_u32(low, vshlq_u32(high, vdupq_n_s32(p->high_to))));
    q = vsubq_s32(veorq_s32(q, vdupq_n_s32(p->flip)), vdupq_n_s32(p->flip));
    v.val[r] = vaddq_f32(vmulq_f32(d.val[r], vsubq_f32(vcvtq_f32_s32(q), side.zero.val[r])), min.val[r]);
  }
  pg_store8(c, v);
}

PG_INLINE void add_column(float *y, const float *c, float x) { pg_store8(y, pg_fma8_n(vld1q_f32_x2(y), vld1q_f32_x2(c), x)); }

#define PG_ADD_OUTLIERS pg_neon_add_outliers
#include "outliers_add.h"

#endif
