// AVX2: everything that works on one vector: norms, activation functions, exponentials; and the table of the AVX2 kernels.
//
// exp and erf are polynomials fitted by Remez exchange in 40-digit arithmetic; the figures are the fits' own errors. What the
// float32 evaluation adds is measured in the tests against libm's float64: below 1.5e-7 relative for both.
#include "avx2.h"

#if defined(__x86_64__)
#include <math.h>

PG_AVX2_BEGIN

// exp(x) for x <= 88; 0 below -87.3, where the result would not be a normal number. NaN stays NaN.
// x = n ln 2 + r, |r| <= ln 2 / 2; exp r = 1 + r + r^2 P(r), relative error 3.1e-9.
PG_INLINE __m256 exp8(__m256 x) {
  __m256 tiny = _mm256_cmp_ps(x, _mm256_set1_ps(-87.3f), _CMP_LT_OQ);
  x = _mm256_max_ps(_mm256_set1_ps(-87.3f), _mm256_min_ps(_mm256_set1_ps(88.0f), x)); // the second operand survives a NaN
  __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x); // ln 2 in two parts, the first with 10 bits
  r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
  __m256 p = _mm256_set1_ps(0.0013814462581649423f);
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.008368780836462975f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.04166839271783829f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.1666651964187622f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.4999999403953552f));
  p = _mm256_fmadd_ps(_mm256_mul_ps(p, r), r, r);
  p = _mm256_add_ps(p, _mm256_set1_ps(1));
  __m256i e = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
  return _mm256_andnot_ps(tiny, _mm256_mul_ps(p, _mm256_castsi256_ps(e)));
}

// erf(x). |x| < 0.93: x + x P(x^2), relative error 4.6e-10. Beyond: 1 - exp(-a Q(a)), a = |x| up to 4, where erf rounds to 1;
// the fit of -log(erfc a)/a is weighted so that erf's relative error is 6.8e-10.
PG_INLINE __m256 erf8(__m256 x) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  __m256 a = _mm256_andnot_ps(sign, x), t = _mm256_mul_ps(x, x);
  __m256 p = _mm256_set1_ps(8.316760795423761e-05f);
  p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(-0.0008130008936859667f));
  p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.005199906416237354f));
  p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(-0.026858940720558167f));
  p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.11283687502145767f));
  p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(-0.37612631916999817f));
  p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.12837916612625122f));
  __m256 small = _mm256_fmadd_ps(p, x, x);
  a = _mm256_min_ps(_mm256_set1_ps(4), a);
  p = _mm256_set1_ps(1.1612584785325453e-05f);
  p = _mm256_fmadd_ps(p, a, _mm256_set1_ps(-0.00032662530429661274f));
  p = _mm256_fmadd_ps(p, a, _mm256_set1_ps(0.0036580199375748634f));
  p = _mm256_fmadd_ps(p, a, _mm256_set1_ps(-0.023795027285814285f));
  p = _mm256_fmadd_ps(p, a, _mm256_set1_ps(0.10627521574497223f));
  p = _mm256_fmadd_ps(p, a, _mm256_set1_ps(0.6351280808448792f));
  p = _mm256_fmadd_ps(p, a, _mm256_set1_ps(1.1286542415618896f));
  __m256 large = _mm256_sub_ps(_mm256_set1_ps(1), exp8(_mm256_xor_ps(_mm256_mul_ps(p, a), sign)));
  large = _mm256_or_ps(large, _mm256_and_ps(x, sign));
  return _mm256_blendv_ps(small, large, _mm256_cmp_ps(a, _mm256_set1_ps(0.93f), _CMP_GE_OQ));
}

PG_INLINE __m256 gelu8(__m256 x) {
  __m256 e = erf8(_mm256_mul_ps(x, _mm256_set1_ps(0.70710678118654752f)));
  return _mm256_mul_ps(_mm256_mul_ps(x, _mm256_set1_ps(0.5f)), _mm256_add_ps(e, _mm256_set1_ps(1)));
}

PG_INLINE __m256 silu8(__m256 x) {
  // Below -88 the exponential is held at exp(88), and the quotient at the size of a subnormal: zero for every purpose.
  __m256 e = exp8(_mm256_xor_ps(x, _mm256_set1_ps(-0.0f)));
  return _mm256_div_ps(x, _mm256_add_ps(_mm256_set1_ps(1), e));
}

// The mask of the first n < 8 elements.
PG_INLINE __m256i first(size_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static void add(float *y, const float *x, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
  for (; i < n; i++) y[i] += x[i];
}

static void gelu(float *x, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(x + i, gelu8(_mm256_loadu_ps(x + i)));
  if (i < n) {
    __m256i m = first(n - i);
    _mm256_maskstore_ps(x + i, m, gelu8(_mm256_maskload_ps(x + i, m)));
  }
}

static void silu_mul(float *g, const float *u, size_t n) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8)
    _mm256_storeu_ps(g + i, _mm256_mul_ps(silu8(_mm256_loadu_ps(g + i)), _mm256_loadu_ps(u + i)));
  if (i < n) {
    __m256i m = first(n - i);
    _mm256_maskstore_ps(g + i, m, _mm256_mul_ps(silu8(_mm256_maskload_ps(g + i, m)), _mm256_maskload_ps(u + i, m)));
  }
}

static void to_half(uint16_t *h, const float *x, size_t n) {
  const __m256 top = _mm256_set1_ps(65504), bottom = _mm256_set1_ps(-65504);
  for (size_t i = 0; i < n; i += 8) {
    __m256 v = n - i < 8 ? _mm256_maskload_ps(x + i, first(n - i)) : _mm256_loadu_ps(x + i);
    v = _mm256_max_ps(bottom, _mm256_min_ps(top, v)); // NaN passes
    __m128i half = _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    if (n - i >= 8) {
      _mm_storeu_si128((__m128i *)(h + i), half);
    } else {
      uint16_t part[8];
      _mm_storeu_si128((__m128i *)part, half);
      __builtin_memcpy(h + i, part, 2 * (n - i));
    }
  }
}

static float max(const float *x, size_t n) {
  __m256 m = _mm256_set1_ps(-INFINITY);
  size_t i = 0;
  for (; i + 8 <= n; i += 8) m = _mm256_max_ps(_mm256_loadu_ps(x + i), m);
  __m128 a = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
  a = _mm_max_ps(a, _mm_movehl_ps(a, a));
  float top = _mm_cvtss_f32(_mm_max_ss(a, _mm_movehdup_ps(a)));
  for (; i < n; i++)
    if (x[i] > top) top = x[i];
  return top;
}

static float sum_exp(float *x, float max, size_t n) {
  __m256 sum = _mm256_setzero_ps(), shift = _mm256_set1_ps(max);
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    __m256 e = exp8(_mm256_sub_ps(_mm256_loadu_ps(x + i), shift));
    _mm256_storeu_ps(x + i, e);
    sum = _mm256_add_ps(sum, e);
  }
  if (i < n) {
    __m256i m = first(n - i);
    __m256 e = _mm256_and_ps(exp8(_mm256_sub_ps(_mm256_maskload_ps(x + i, m), shift)), _mm256_castsi256_ps(m));
    _mm256_maskstore_ps(x + i, m, e);
    sum = _mm256_add_ps(sum, e);
  }
  return pg_hsum(sum);
}

// The sum of (x - shift)^power over n elements, in eight lanes.
PG_INLINE float moment(const float *x, float shift, int power, size_t n) {
  __m256 sum = _mm256_setzero_ps(), s = _mm256_set1_ps(shift);
  size_t i = 0;
  for (; i < n; i += 8) {
    __m256i m = n - i < 8 ? first(n - i) : _mm256_set1_epi32(-1);
    __m256 v = _mm256_and_ps(_mm256_sub_ps(_mm256_maskload_ps(x + i, m), s), _mm256_castsi256_ps(m));
    sum = power == 2 ? _mm256_fmadd_ps(v, v, sum) : _mm256_add_ps(sum, v);
  }
  return pg_hsum(sum);
}

static void norm(float *y, const float *x, const float *w, const float *b, size_t n, float eps) {
  float mean = b ? moment(x, 0, 1, n) / (float)n : 0;
  float scale = (float)(1 / sqrt((double)moment(x, mean, 2, n) / (double)n + eps));
  __m256 s = _mm256_set1_ps(scale), shift = _mm256_set1_ps(mean);
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    __m256 v = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i), shift), s);
    v = _mm256_mul_ps(v, _mm256_loadu_ps(w + i));
    if (b) v = _mm256_add_ps(v, _mm256_loadu_ps(b + i));
    _mm256_storeu_ps(y + i, v);
  }
  for (; i < n; i++) y[i] = (x[i] - mean) * scale * w[i] + (b ? b[i] : 0);
}

static uint64_t read_all(const uint8_t *p, size_t n) {
  __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
  size_t i = 0;
  for (; i + 128 <= n; i += 128) {
    _mm_prefetch((const char *)p + i + 2048, _MM_HINT_T0);
    _mm_prefetch((const char *)p + i + 2112, _MM_HINT_T0);
    a = _mm256_xor_si256(a, _mm256_loadu_si256((const __m256i *)(p + i)));
    b = _mm256_xor_si256(b, _mm256_loadu_si256((const __m256i *)(p + i + 32)));
    c = _mm256_xor_si256(c, _mm256_loadu_si256((const __m256i *)(p + i + 64)));
    d = _mm256_xor_si256(d, _mm256_loadu_si256((const __m256i *)(p + i + 96)));
  }
  a = _mm256_xor_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d));
  uint64_t v[4], rest = 0;
  _mm256_storeu_si256((__m256i *)v, a);
  for (; i < n; i++) rest += p[i];
  return v[0] ^ v[1] ^ v[2] ^ v[3] ^ rest;
}

PG_AVX2_END

// Sets with AVX2 differ in products and attention alone.
#define PG_SET(set, tokens, rows, integer, attention, at_once, ...) \
  const pg_isa pg_isa_##set = {         \
      .name = #set,                     \
      .tile = tokens,                   \
      .octets = rows,                   \
      .vectors = at_once,               \
      .quantise = pg_avx2_quantise,     \
      .mul_int = pg_##integer##_mul_int, \
      .add_outliers = pg_avx2_add_outliers, \
      .mul_float = pg_avx2_mul_float,   \
      .norm = norm,                     \
      .add = add,                       \
      .gelu = gelu,                     \
      .silu_mul = silu_mul,             \
      .to_half = to_half,               \
      .max = max,                       \
      .sum_exp = sum_exp,               \
      .scores = pg_##attention##_scores, \
      .weigh = pg_##attention##_weigh,  \
      .read = read_all,                 \
      __VA_ARGS__                       \
  }
PG_SET(avx2, PG_TILE, 1, avx2, avx2, PG_AVX2_VECTORS, );
PG_SET(avxvnni, PG_TILE, 1, avxvnni, avx2, PG_AVX2_VECTORS, );
PG_SET(avx512vnni, PG_TILE, 1, avx512vnni, avx512, PG_VECTORS, );
PG_SET(amx, 64, 2, amx, avx512, PG_VECTORS, );
PG_SET(amxbf16, 64, PG_BF16_OCTETS, amx, avx512, PG_VECTORS, .to_bf16 = pg_amx_to_bf16, .mul_bf16 = pg_amx_mul_bf16,
       .keys_bf16 = pg_amx_keys_bf16, .values_bf16 = pg_amx_values_bf16, .tiles_bf16 = pg_amx_tiles_bf16);
#endif
