// The reference kernels: plain loops, libm, no instruction set beyond the compiler's default.
#include "outliers.h"

#include <math.h>
#include <string.h>

static void quantise(int8_t *q, float *d, float *s, int16_t *h, const float *x, size_t blocks, size_t stride, pg_peak *peak) {
  pg_peak found = {0};
  for (size_t b = 0; b < blocks; b++, x += PG_BLOCK, q += PG_BLOCK * stride, d += stride, s += stride, h += 2 * stride) {
    float amax = 0, second = 0, poison = 0;
    for (size_t i = 0; i < PG_BLOCK; i++) {
      float a = fabsf(x[i]);
      if (a > amax) {
        second = amax;
        amax = a;
      } else if (a > second) {
        second = a;
      }
      poison += x[i] * 0.0f; // NaN if anything is NaN or infinite
    }
    float inv = amax > 1e-30f && poison == 0 ? 127 / amax : 0; // below, 127/amax could overflow
    int sum[2] = {0, 0};
    for (size_t i = 0; i < PG_BLOCK; i++) {
      int v = inv > 0 ? (int)nearbyintf(x[i] * inv) : 0;
      q[i] = (int8_t)v;
      sum[i / 16] += v;
    }
    *d = amax / 127 + poison;
    *s = *d * (float)(sum[0] + sum[1]);
    h[0] = (int16_t)sum[0];
    h[1] = (int16_t)sum[1];
    pg_add_block(&found, b, amax, second, poison);
  }
  if (peak) *peak = found;
}

static void mul_int(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x) {
  int16_t q[PG_OCTET][PG_BLOCK];
  size_t bytes = pg_block_bytes(w->bits), mt = x->tokens;
  for (size_t o = lo; o < hi; o++) {
    float acc[PG_TILE][PG_OCTET] = {{0}};
    const uint8_t *codes = w->codes + o * pg_octet_bytes(w);
    for (size_t g = 0; g < w->groups; g++) {
      for (size_t b = w->group_start[g]; b < w->group_start[g + 1]; b++) {
        pg_unpack_block(q, codes + b * bytes, w->bits);
        for (size_t i = 0; i < 2 * PG_OCTET; i++) { // the halves of the rows: 16 features have the same scale in every format
          size_t r = i / 2, half = i % 2;
          pg_side side = pg_side_of(w, o, g, b, half, r);
          for (size_t t = 0; t < mt; t++) {
            size_t at = b * x->stride + t;
            const int8_t *xq = x->q + at * PG_BLOCK + 16 * half;
            int dot = 0;
            for (size_t k = 0; k < 16; k++) dot += (q[r][16 * half + k] - side.zero) * xq[k];
            acc[t][r] += x->d[at] * (side.scale * (float)dot + side.min * (float)x->h[2 * at + half]);
          }
        }
      }
    }
    for (size_t t = 0; t < mt; t++) memcpy(y + t * ldy + (o - lo) * PG_OCTET, acc[t], sizeof acc[t]);
  }
}

static void add_outliers(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_outlier *outliers, size_t stride,
                         size_t tokens, float *room) {
  (void)room;
  for (size_t t = 0; t < tokens; t++, y += ldy, outliers += stride) {
    for (const pg_outlier *x = outliers; x->x != 0; x++) {
      const pg_place p = pg_place_of(w, x->feature);
      for (size_t o = lo; o < hi; o++) {
        for (size_t r = 0; r < PG_OCTET; r++) {
          uint32_t low, high;
          memcpy(&low, w->codes + o * pg_octet_bytes(w) + p.low + 4 * r, 4);
          memcpy(&high, w->codes + o * pg_octet_bytes(w) + p.high + 4 * r, 4);
          int q = (int)(low >> p.low_shift) & p.low_mask;
          q |= ((int)(high >> p.high_shift) & p.high_mask) << p.high_to;
          const pg_side side = pg_side_of(w, o, p.group, p.block, p.half, r);
          y[(o - lo) * PG_OCTET + r] += x->x * (side.scale * (float)((q ^ p.flip) - p.flip - side.zero) + side.min);
        }
      }
    }
  }
}

// Octet o's features from..from+n, a multiple of 32 when quantised, as float32: dst[n][8].
static void decode(float *dst, const pg_matrix *w, size_t o, size_t from, size_t n) {
  const uint8_t *codes = w->codes + o * pg_octet_bytes(w);
  if (!w->bits) {
    for (size_t i = 0; i < n * PG_OCTET; i++) dst[i] = pg_load(codes, w->type, from * PG_OCTET + i);
    return;
  }
  int16_t q[PG_OCTET][PG_BLOCK];
  size_t g = 0;
  for (size_t b = from / PG_BLOCK; b < (from + n) / PG_BLOCK; b++, dst += PG_BLOCK * PG_OCTET) {
    while (b >= w->group_start[g + 1]) g++;
    pg_unpack_block(q, codes + b * pg_block_bytes(w->bits), w->bits);
    for (size_t i = 0; i < 2 * PG_OCTET; i++) {
      size_t r = i / 2, half = i % 2;
      pg_side side = pg_side_of(w, o, g, b, half, r);
      for (size_t k = 16 * half; k < 16 * half + 16; k++)
        dst[k * PG_OCTET + r] = side.scale * (float)(q[r][k] - side.zero) + side.min;
    }
  }
}

static void mul_float(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const float *x, size_t ldx, size_t m,
                      float *scratch) {
  for (size_t o = lo; o < hi; o++) {
    float *yo = y + (o - lo) * PG_OCTET;
    for (size_t t = 0; t < m; t++) memset(yo + t * ldy, 0, PG_OCTET * sizeof *y);
    for (size_t k = 0; k < w->padded; k += PG_CHUNK_K) {
      size_t n = w->padded - k < PG_CHUNK_K ? w->padded - k : PG_CHUNK_K;
      decode(scratch, w, o, k, n);
      for (size_t t = 0; t < m; t++)
        for (size_t i = 0; i < n; i++)
          for (size_t r = 0; r < PG_OCTET; r++) yo[t * ldy + r] += scratch[i * PG_OCTET + r] * x[t * ldx + k + i];
    }
  }
}

static void norm(float *y, const float *x, const float *w, const float *b, size_t n, float eps) {
  double mean = 0, square = 0;
  if (b) {
    for (size_t i = 0; i < n; i++) mean += x[i];
    mean /= (double)n;
  }
  for (size_t i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean);
  float scale = (float)(1 / sqrt(square / (double)n + eps)), shift = (float)mean;
  for (size_t i = 0; i < n; i++) y[i] = (x[i] - shift) * scale * w[i] + (b ? b[i] : 0);
}

static void add(float *y, const float *x, size_t n) {
  for (size_t i = 0; i < n; i++) y[i] += x[i];
}

static void gelu(float *x, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] = 0.5f * x[i] * (1 + erff(x[i] * 0.70710678118654752f));
}

static void silu_mul(float *g, const float *u, size_t n) {
  for (size_t i = 0; i < n; i++) g[i] = g[i] / (1 + expf(-g[i])) * u[i];
}

static void to_half(uint16_t *h, const float *x, size_t n) {
  for (size_t i = 0; i < n; i++) h[i] = pg_f32_to_f16(x[i] > 65504 ? 65504 : x[i] < -65504 ? -65504 : x[i]);
}

static float max(const float *x, size_t n) {
  float m = -INFINITY;
  for (size_t i = 0; i < n; i++)
    if (x[i] > m) m = x[i];
  return m;
}

static float sum_exp(float *x, float max, size_t n) {
  float sum = 0;
  for (size_t i = 0; i < n; i++) sum += x[i] = expf(x[i] - max);
  return sum;
}

static void scores(float *s, const float *const q[PG_VECTORS], size_t n, const uint8_t *k, int type, size_t keys, size_t d) {
  for (size_t v = 0; v < n; v++)
    for (size_t j = 0; j < (keys + 7) / 8 * 8; j++) {
      float sum = 0;
      for (size_t i = 0; i < d; i++) sum += q[v][i] * pg_load(k, type, (j / 8 * d + i) * 8 + j % 8);
      s[v * PG_SEGMENT + j] = sum;
    }
}

static void weigh(float *const o[PG_VECTORS], const float *p, size_t n, const uint8_t *v, int type, size_t keys, size_t dv) {
  for (size_t a = 0; a < n; a++) {
    memset(o[a], 0, dv * sizeof(float));
    for (size_t j = 0; j < keys; j++)
      for (size_t i = 0; i < dv; i++) o[a][i] += p[a * PG_SEGMENT + j] * pg_load(v, type, j * dv + i);
  }
}

static uint64_t read_all(const uint8_t *p, size_t n) {
  uint64_t a = 0, v;
  for (size_t i = 0; i + 8 <= n; i += 8) {
    memcpy(&v, p + i, 8);
    a ^= v;
  }
  return a;
}

const pg_isa pg_isa_scalar = {
    .name = "scalar",
    .tile = PG_TILE,
    .octets = 1,
    .vectors = PG_VECTORS,
    .quantise = quantise,
    .mul_int = mul_int,
    .add_outliers = add_outliers,
    .mul_float = mul_float,
    .norm = norm,
    .add = add,
    .gelu = gelu,
    .silu_mul = silu_mul,
    .to_half = to_half,
    .max = max,
    .sum_exp = sum_exp,
    .scores = scores,
    .weigh = weigh,
    .read = read_all,
};
