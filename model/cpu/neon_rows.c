// NEON: everything that works on one vector: rounding to int8, norms, activation functions, exponentials; and the table of the NEON
// kernels. The polynomials are those of avx2_rows.c, which has their errors. Sums run in eight lanes, as there.
#include "neon.h"

#if defined(PG_NEON)
#include <math.h>
#include <string.h>

// exp(x) for x <= 88; 0 below -87.3. NaN stays NaN: minimum and maximum of NEON pass it on.
PG_INLINE float32x4_t exp4(float32x4_t x) {
  uint32x4_t tiny = vcltq_f32(x, vdupq_n_f32(-87.3f));
  x = vmaxq_f32(vdupq_n_f32(-87.3f), vminq_f32(vdupq_n_f32(88.0f), x));
  float32x4_t n = vrndnq_f32(vmulq_n_f32(x, 1.44269504f));
  float32x4_t r = vfmsq_f32(x, n, vdupq_n_f32(0.693359375f)); // ln 2 in two parts, the first with 10 bits
  r = vfmsq_f32(r, n, vdupq_n_f32(-2.12194440e-4f));
  float32x4_t p = vdupq_n_f32(0.0013814462581649423f);
  p = vfmaq_f32(vdupq_n_f32(0.008368780836462975f), p, r);
  p = vfmaq_f32(vdupq_n_f32(0.04166839271783829f), p, r);
  p = vfmaq_f32(vdupq_n_f32(0.1666651964187622f), p, r);
  p = vfmaq_f32(vdupq_n_f32(0.4999999403953552f), p, r);
  p = vfmaq_f32(r, vmulq_f32(p, r), r);
  p = vaddq_f32(p, vdupq_n_f32(1));
  int32x4_t e = vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127)), 23);
  p = vmulq_f32(p, vreinterpretq_f32_s32(e));
  return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(p), tiny));
}

PG_INLINE float32x4_t erf4(float32x4_t x) {
  const uint32x4_t sign = vdupq_n_u32(0x80000000);
  float32x4_t a = vabsq_f32(x), t = vmulq_f32(x, x);
  float32x4_t p = vdupq_n_f32(8.316760795423761e-05f);
  p = vfmaq_f32(vdupq_n_f32(-0.0008130008936859667f), p, t);
  p = vfmaq_f32(vdupq_n_f32(0.005199906416237354f), p, t);
  p = vfmaq_f32(vdupq_n_f32(-0.026858940720558167f), p, t);
  p = vfmaq_f32(vdupq_n_f32(0.11283687502145767f), p, t);
  p = vfmaq_f32(vdupq_n_f32(-0.37612631916999817f), p, t);
  p = vfmaq_f32(vdupq_n_f32(0.12837916612625122f), p, t);
  float32x4_t small = vfmaq_f32(x, p, x);
  a = vminq_f32(vdupq_n_f32(4), a);
  p = vdupq_n_f32(1.1612584785325453e-05f);
  p = vfmaq_f32(vdupq_n_f32(-0.00032662530429661274f), p, a);
  p = vfmaq_f32(vdupq_n_f32(0.0036580199375748634f), p, a);
  p = vfmaq_f32(vdupq_n_f32(-0.023795027285814285f), p, a);
  p = vfmaq_f32(vdupq_n_f32(0.10627521574497223f), p, a);
  p = vfmaq_f32(vdupq_n_f32(0.6351280808448792f), p, a);
  p = vfmaq_f32(vdupq_n_f32(1.1286542415618896f), p, a);
  float32x4_t large = vsubq_f32(vdupq_n_f32(1), exp4(vnegq_f32(vmulq_f32(p, a))));
  large = vbslq_f32(sign, x, large);
  return vbslq_f32(vcgeq_f32(a, vdupq_n_f32(0.93f)), large, small);
}

PG_INLINE float32x4_t gelu4(float32x4_t x) {
  float32x4_t e = erf4(vmulq_n_f32(x, 0.70710678118654752f));
  return vmulq_f32(vmulq_n_f32(x, 0.5f), vaddq_f32(e, vdupq_n_f32(1)));
}

PG_INLINE float32x4_t silu4(float32x4_t x) {
  return vdivq_f32(x, vaddq_f32(vdupq_n_f32(1), exp4(vnegq_f32(x)))); // below -88 as in avx2_rows.c
}

// Eight elements of which the first n exist, the others zero.
PG_INLINE pg_f8 load_first(const float *x, size_t n) {
  if (n >= 8) return vld1q_f32_x2(x);
  float v[8] = {0};
  memcpy(v, x, n * sizeof *v);
  return vld1q_f32_x2(v);
}

PG_INLINE void store_first(float *x, pg_f8 v, size_t n) {
  if (n >= 8) {
    pg_store8(x, v);
    return;
  }
  float part[8];
  pg_store8(part, v);
  memcpy(x, part, n * sizeof *part);
}

static void add(float *y, const float *x, size_t n) {
  size_t i = 0;
  for (; i + 4 <= n; i += 4) vst1q_f32(y + i, vaddq_f32(vld1q_f32(y + i), vld1q_f32(x + i)));
  for (; i < n; i++) y[i] += x[i];
}

static void gelu(float *x, size_t n) {
  for (size_t i = 0; i < n; i += 8) {
    pg_f8 v = load_first(x + i, n - i);
    store_first(x + i, (pg_f8){{gelu4(v.val[0]), gelu4(v.val[1])}}, n - i);
  }
}

static void silu_mul(float *g, const float *u, size_t n) {
  for (size_t i = 0; i < n; i += 8) {
    pg_f8 v = load_first(g + i, n - i), by = load_first(u + i, n - i);
    store_first(g + i, pg_mul8((pg_f8){{silu4(v.val[0]), silu4(v.val[1])}}, by), n - i);
  }
}

PG_INLINE float16x4_t half4(float32x4_t v) {
  return vcvt_f16_f32(vmaxq_f32(vdupq_n_f32(-65504), vminq_f32(vdupq_n_f32(65504), v))); // NaN passes
}

static void to_half(uint16_t *h, const float *x, size_t n) {
  for (size_t i = 0; i < n; i += 8) {
    pg_f8 v = load_first(x + i, n - i);
    uint16x8_t half = vreinterpretq_u16_f16(vcombine_f16(half4(v.val[0]), half4(v.val[1])));
    if (n - i >= 8) {
      vst1q_u16(h + i, half);
    } else {
      uint16_t part[8];
      vst1q_u16(part, half);
      memcpy(h + i, part, 2 * (n - i));
    }
  }
}

static float max(const float *x, size_t n) {
  float32x4_t m = vdupq_n_f32(-INFINITY), other = m;
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    m = vmaxnmq_f32(m, vld1q_f32(x + i)); // of a number and NaN the number
    other = vmaxnmq_f32(other, vld1q_f32(x + i + 4));
  }
  float top = vmaxnmvq_f32(vmaxnmq_f32(m, other));
  for (; i < n; i++)
    if (x[i] > top) top = x[i];
  return top;
}

static float sum_exp(float *x, float max, size_t n) {
  const float32x4_t shift = vdupq_n_f32(max);
  pg_f8 sum = pg_zero8();
  for (size_t i = 0; i < n; i += 8) {
    pg_f8 e = load_first(x + i, n - i);
    for (int r = 0; r < 2; r++) e.val[r] = exp4(vsubq_f32(e.val[r], shift));
    store_first(x + i, e, n - i);
    if (n - i < 8) e = load_first(x + i, n - i); // without what stands beyond
    for (int r = 0; r < 2; r++) sum.val[r] = vaddq_f32(sum.val[r], e.val[r]);
  }
  return pg_hsum(sum);
}

// The sum of x - shift over n elements, or of its square, in eight lanes.
PG_INLINE float moment(const float *x, float shift, int power, size_t n) {
  const float32x4_t s = vdupq_n_f32(shift);
  pg_f8 sum = pg_zero8();
  for (size_t i = 0; i < n; i += 8) {
    float part[8];
    const float *v = x + i;
    if (n - i < 8) {
      for (size_t j = 0; j < 8; j++) part[j] = j < n - i ? v[j] : shift;
      v = part;
    }
    for (int r = 0; r < 2; r++) {
      float32x4_t d = vsubq_f32(vld1q_f32(v + 4 * r), s);
      sum.val[r] = power == 2 ? vfmaq_f32(sum.val[r], d, d) : vaddq_f32(sum.val[r], d);
    }
  }
  return pg_hsum(sum);
}

static void norm(float *y, const float *x, const float *w, const float *b, size_t n, float eps) {
  float mean = b ? moment(x, 0, 1, n) / (float)n : 0;
  float scale = (float)(1 / sqrt((double)moment(x, mean, 2, n) / (double)n + eps));
  const float32x4_t shift = vdupq_n_f32(mean);
  for (size_t i = 0; i < n; i += 8) {
    pg_f8 v = load_first(x + i, n - i), weight = load_first(w + i, n - i);
    pg_f8 bias = b ? load_first(b + i, n - i) : pg_zero8();
    for (int r = 0; r < 2; r++) {
      v.val[r] = vmulq_f32(vmulq_n_f32(vsubq_f32(v.val[r], shift), scale), weight.val[r]);
      if (b) v.val[r] = vaddq_f32(v.val[r], bias.val[r]);
    }
    store_first(y + i, v, n - i);
  }
}

void pg_neon_quantise(int8_t *q, float *d, float *s, int16_t *h, const float *x, size_t blocks, size_t stride, pg_peak *peak) {
  pg_peak found = {0};
  for (size_t b = 0; b < blocks; b++, x += PG_BLOCK, q += PG_BLOCK * stride, d += stride, s += stride, h += 2 * stride) {
    float32x4_t v[8], first = vdupq_n_f32(0), second = first; // the two greatest of each lane
    pg_f8 sum = pg_zero8();
    for (int i = 0; i < 8; i++) {
      v[i] = vld1q_f32(x + 4 * i);
      const float32x4_t a = vabsq_f32(v[i]);
      second = vmaxq_f32(second, vminq_f32(first, a));
      first = vmaxq_f32(first, a);
      sum.val[i % 2] = vfmaq_f32(sum.val[i % 2], v[i], vdupq_n_f32(0)); // NaN if anything is NaN or infinite
    }
    // Lane by lane with the other half, then with the neighbour.
    second = vmaxq_f32(vmaxq_f32(second, vextq_f32(second, second, 2)), vminq_f32(first, vextq_f32(first, first, 2)));
    first = vmaxq_f32(first, vextq_f32(first, first, 2));
    second = vmaxq_f32(vmaxq_f32(second, vrev64q_f32(second)), vminq_f32(first, vrev64q_f32(first)));
    first = vmaxq_f32(first, vrev64q_f32(first));
    float top = vgetq_lane_f32(first, 0), poison = pg_hsum(sum);
    float inv = top > 1e-30f && poison == 0 ? 127 / top : 0; // below, 127/top could overflow
    int32x4_t p[8];
    for (int i = 0; i < 8; i++) p[i] = vcvtnq_s32_f32(vmulq_n_f32(v[i], inv)); // NaN becomes 0
    for (int i = 0; i < 2; i++) {
      const int32x4_t *half = p + 4 * i;
      int16x8_t lo = vcombine_s16(vmovn_s32(half[0]), vmovn_s32(half[1])), hi = vcombine_s16(vmovn_s32(half[2]), vmovn_s32(half[3]));
      vst1q_s8(q + 16 * i, vcombine_s8(vmovn_s16(lo), vmovn_s16(hi)));
      h[i] = (int16_t)vaddvq_s16(vaddq_s16(lo, hi));
    }
    *d = top / 127 + poison;
    *s = *d * (float)(h[0] + h[1]);
    pg_add_block(&found, b, top, vgetq_lane_f32(second, 0), poison);
  }
  if (peak) *peak = found;
}

static uint64_t read_all(const uint8_t *p, size_t n) {
  uint8x16_t a[4] = {vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0), vdupq_n_u8(0)};
  size_t i = 0;
  for (; i + 128 <= n; i += 128) {
    __builtin_prefetch(p + i + 2048);
    __builtin_prefetch(p + i + 2112);
    for (size_t j = 0; j < 8; j++) a[j % 4] = veorq_u8(a[j % 4], vld1q_u8(p + i + 16 * j));
  }
  uint64x2_t v = vreinterpretq_u64_u8(veorq_u8(veorq_u8(a[0], a[1]), veorq_u8(a[2], a[3])));
  uint64_t rest = 0;
  for (; i < n; i++) rest += p[i];
  return vgetq_lane_u64(v, 0) ^ vgetq_lane_u64(v, 1) ^ rest;
}

// The sets differ in their integer products alone.
#define PG_SET(set, tokens)             \
  const pg_isa pg_isa_##set = {         \
      .name = #set,                     \
      .untried = 1,                     \
      .tile = tokens,                   \
      .octets = 1,                      \
      .vectors = PG_NEON_VECTORS,       \
      .quantise = pg_neon_quantise,     \
      .mul_int = pg_##set##_mul_int,    \
      .add_outliers = pg_neon_add_outliers, \
      .mul_float = pg_neon_mul_float,   \
      .norm = norm,                     \
      .add = add,                       \
      .gelu = gelu,                     \
      .silu_mul = silu_mul,             \
      .to_half = to_half,               \
      .max = max,                       \
      .sum_exp = sum_exp,               \
      .scores = pg_neon_scores,         \
      .weigh = pg_neon_weigh,           \
      .read = read_all,                 \
  }
PG_SET(neon, PG_TILE);
PG_SET(neoni8mm, 16);
#endif
