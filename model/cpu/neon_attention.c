// NEON: scores and weighted sums of attention, over one segment of keys.
//
// As in avx2_attention.c: keys stand eight positions side by side, so that eight scores grow in two registers without a horizontal
// add; values stand one position after the other. Both loops serve up to four query vectors with one load.
#include "neon.h"

#if defined(PG_NEON)

// Scores of keys 8*kb.. for `wide` blocks of eight keys.
PG_INLINE void score_blocks(float *s, const float *const q[PG_VECTORS], int n, const uint8_t *k, int type, size_t d, int wide) {
  pg_f8 acc[PG_NEON_VECTORS][2];
  size_t step = 8 * pg_type_size(type), stride = d * step;
  for (int v = 0; v < n; v++)
    for (int w = 0; w < wide; w++) acc[v][w] = pg_zero8();
  for (size_t i = 0; i < d; i++) {
    pg_f8 key[2];
    for (int w = 0; w < wide; w++) key[w] = pg_load8(k + (size_t)w * stride + i * step, type);
    for (int v = 0; v < n; v++)
      for (int w = 0; w < wide; w++) acc[v][w] = pg_fma8_n(acc[v][w], key[w], q[v][i]);
  }
  for (int v = 0; v < n; v++)
    for (int w = 0; w < wide; w++) pg_store8(s + v * PG_SEGMENT + 8 * w, acc[v][w]);
}

PG_INLINE void score_all(float *s, const float *const q[PG_VECTORS], int n, const uint8_t *k, int type, size_t keys, size_t d) {
  size_t blocks = (keys + 7) / 8, b = 0, stride = 8 * d * pg_type_size(type);
  for (; b + 2 <= blocks; b += 2) score_blocks(s + 8 * b, q, n, k + b * stride, type, d, 2);
  if (b < blocks) score_blocks(s + 8 * b, q, n, k + b * stride, type, d, 1);
}

// Features i..i+8*wide of the weighted sums.
PG_INLINE void weigh_strip(float *const o[PG_VECTORS], const float *p, int n, const uint8_t *v, int type, size_t keys, size_t dv,
                           size_t i, int wide) {
  pg_f8 acc[PG_NEON_VECTORS][2];
  size_t size = pg_type_size(type);
  for (int a = 0; a < n; a++)
    for (int w = 0; w < wide; w++) acc[a][w] = pg_zero8();
  for (size_t j = 0; j < keys; j++) {
    pg_f8 value[2];
    for (int w = 0; w < wide; w++) value[w] = pg_load8(v + (j * dv + i + 8 * (size_t)w) * size, type);
    for (int a = 0; a < n; a++)
      for (int w = 0; w < wide; w++) acc[a][w] = pg_fma8_n(acc[a][w], value[w], p[(size_t)a * PG_SEGMENT + j]);
  }
  for (int a = 0; a < n; a++)
    for (int w = 0; w < wide; w++) pg_store8(o[a] + i + 8 * w, acc[a][w]);
}

PG_INLINE void weigh_all(float *const o[PG_VECTORS], const float *p, int n, const uint8_t *v, int type, size_t keys, size_t dv) {
  size_t i = 0;
  for (; i + 16 <= dv; i += 16) weigh_strip(o, p, n, v, type, keys, dv, i, 2);
  if (i < dv) weigh_strip(o, p, n, v, type, keys, dv, i, 1);
}

// Calls f with the number of query vectors as a constant.
#define EACH(f, n, type, ...) \
  switch (n) { \
  case 1: \
    f(__VA_ARGS__, 1, type); \
    break; \
  case 2: \
    f(__VA_ARGS__, 2, type); \
    break; \
  case 3: \
    f(__VA_ARGS__, 3, type); \
    break; \
  default: \
    f(__VA_ARGS__, 4, type); \
  }
#define SCORE(a, n, type) score_all(a, q, n, k, type, keys, d)
#define WEIGH(a, n, type) weigh_all(a, p, n, v, type, keys, dv)

void pg_neon_scores(float *s, const float *const q[PG_VECTORS], size_t n, const uint8_t *k, int type, size_t keys, size_t d) {
  if (type == PG_F16) {
    EACH(SCORE, n, PG_F16, s)
  } else {
    EACH(SCORE, n, PG_F32, s)
  }
}

void pg_neon_weigh(float *const o[PG_VECTORS], const float *p, size_t n, const uint8_t *v, int type, size_t keys, size_t dv) {
  if (type == PG_F16) {
    EACH(WEIGH, n, PG_F16, o)
  } else {
    EACH(WEIGH, n, PG_F32, o)
  }
}

#endif
