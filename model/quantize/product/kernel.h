// One set of kernels. The file that includes this defines SET, the set's name, WIDTH, the floats of a vector, and ROWS, the rows
// of a tile: ROWS times PG_LANES sums (or, where registers are few, half of the lanes at a time) stay in registers.
#include "product.h"

#include <string.h>

#define VECTORS (SPAN / WIDTH)
typedef float vec __attribute__((vector_size(4 * WIDTH), aligned(4)));

#define INLINE static inline __attribute__((always_inline))

// acc[r][SPAN] += a[r * row + p * step] * b[p * PG_LANES + 0..SPAN] for p < depth, in order.
INLINE void tile(vec acc[ROWS][VECTORS], const float *a, size_t row, size_t step, const float *b, size_t depth, int rows) {
  for (size_t p = 0; p < depth; p++, a += step, b += PG_LANES) {
    vec v[VECTORS];
#pragma GCC unroll 16
    for (int j = 0; j < VECTORS; j++) v[j] = *(const vec *)(b + WIDTH * j);
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
      float s = a[(size_t)r * row];
#pragma GCC unroll 16
      for (int j = 0; j < VECTORS; j++) acc[r][j] += s * v[j];
    }
  }
}

// y[rows][0..width] of a panel's lanes, begun or continued.
INLINE void mul_rows(float *y, size_t ldy, const float *x, size_t ldx, const float *b, size_t depth, size_t width, int first,
                     int rows) {
  vec acc[ROWS][VECTORS];
  float edge[ROWS][SPAN];
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
    const float *from = y + (size_t)r * ldy;
    if (first || width < SPAN) {
      memset(edge[r], 0, sizeof edge[r]);
      if (!first) memcpy(edge[r], from, width * sizeof *from);
      from = edge[r];
    }
#pragma GCC unroll 16
    for (int j = 0; j < VECTORS; j++) acc[r][j] = *(const vec *)(from + WIDTH * j);
  }
  tile(acc, x, ldx, 1, b, depth, rows);
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++) {
    float *to = width < SPAN ? edge[r] : y + (size_t)r * ldy;
#pragma GCC unroll 16
    for (int j = 0; j < VECTORS; j++) *(vec *)(to + WIDTH * j) = acc[r][j];
    if (width < SPAN) memcpy(y + (size_t)r * ldy, edge[r], width * sizeof *y);
  }
}

static void mul(float *y, const float *x, const float *panels, size_t m, size_t k, size_t n) {
  for (size_t c = 0; c < n; c += SPAN) {
    const float *panel = panels + c / PG_LANES * k * PG_LANES + c % PG_LANES;
    size_t width = n - c < SPAN ? n - c : SPAN;
    for (size_t p = 0; p < k; p += PG_DEPTH) {
      size_t depth = k - p < PG_DEPTH ? k - p : PG_DEPTH, r = 0;
      const float *b = panel + p * PG_LANES;
      for (; r + ROWS <= m; r += ROWS) mul_rows(y + r * n + c, n, x + r * k + p, k, b, depth, width, p == 0, ROWS);
      for (; r < m; r++) mul_rows(y + r * n + c, n, x + r * k + p, k, b, depth, width, p == 0, 1);
    }
  }
}

// Adds a tile's sums to rows i.. of the lower triangle, columns c...
static void settle(double *sum, const vec acc[ROWS][VECTORS], size_t n, size_t i, size_t hi, size_t c) {
  for (size_t r = 0; r < ROWS && i + r < hi; r++) {
    float row[SPAN];
    memcpy(row, acc[r], sizeof row);
    size_t end = i + r + 1 < c + SPAN ? i + r + 1 : c + SPAN;
    double *to = sum + (i + r) * n;
    for (size_t j = c; j < end; j++) to[j] += (double)row[j - c];
  }
}

static void gram(double *sum, const float *x, size_t tokens, size_t n, size_t lo, size_t hi) {
  enum { TILES = (PG_GRAM_ROWS + ROWS - 1) / ROWS };
  static _Thread_local float a[TILES][PG_GRAM_TOKENS][ROWS];
  float b[PG_GRAM_TOKENS][PG_LANES];
  for (size_t t = 0; t < tokens; t += PG_GRAM_TOKENS) {
    size_t depth = tokens - t < PG_GRAM_TOKENS ? tokens - t : PG_GRAM_TOKENS;
    memset(a, 0, sizeof a);
    for (size_t p = 0; p < depth; p++)
      for (size_t i = lo; i < hi; i++) a[(i - lo) / ROWS][p][(i - lo) % ROWS] = x[(t + p) * n + i];
    for (size_t c = 0; c < hi; c += SPAN) {
      size_t width = n - c < SPAN ? n - c : SPAN;
      memset(b, 0, sizeof b);
      for (size_t p = 0; p < depth; p++) memcpy(b[p], x + (t + p) * n + c, width * sizeof *x);
      for (size_t i = c > lo ? lo + (c - lo) / ROWS * ROWS : lo; i < hi; i += ROWS) {
        vec acc[ROWS][VECTORS];
        memset(acc, 0, sizeof acc);
        tile(acc, a[(i - lo) / ROWS][0], 1, ROWS, b[0], depth, ROWS);
        settle(sum, acc, n, i, hi, c);
      }
    }
  }
}

typedef double dvec __attribute__((vector_size(4 * WIDTH), aligned(8)));
enum { DWIDTH = WIDTH / 2, DVECTORS = WIDTH == 16 ? 4 : 2, DSPAN = DWIDTH * DVECTORS, DROWS = 4 };

// y[rows][DSPAN] -= e[rows][steps] * u[steps][DSPAN].
INLINE void correct_tile(double *y, size_t ldy, const double *e, size_t lde, const double *u, size_t ldu, size_t steps, int rows) {
  dvec acc[DROWS][DVECTORS];
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
    for (int j = 0; j < DVECTORS; j++) acc[r][j] = *(const dvec *)(y + (size_t)r * ldy + DWIDTH * j);
  for (size_t i = 0; i < steps; i++, u += ldu) {
    dvec v[DVECTORS];
#pragma GCC unroll 16
    for (int j = 0; j < DVECTORS; j++) v[j] = *(const dvec *)(u + DWIDTH * j);
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++) {
      double s = e[(size_t)r * lde + i];
#pragma GCC unroll 16
      for (int j = 0; j < DVECTORS; j++) acc[r][j] -= s * v[j];
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < rows; r++)
#pragma GCC unroll 16
    for (int j = 0; j < DVECTORS; j++) *(dvec *)(y + (size_t)r * ldy + DWIDTH * j) = acc[r][j];
}

// Steps are taken 128 at a time, whose part of u stays in the first-level cache for all rows.
static void correct(double *left, size_t left_stride, const double *errors, size_t errors_stride, const double *u, size_t stride,
                    size_t rows, size_t steps, size_t columns) {
  enum { DEPTH = 128 };
  size_t whole = columns / DSPAN * DSPAN;
  for (size_t i = 0; i < steps; i += DEPTH) {
    size_t n = steps - i < DEPTH ? steps - i : DEPTH;
    const double *e = errors + i;
    for (size_t j = 0; j < whole; j += DSPAN) {
      const double *v = u + i * stride + j;
      size_t r = 0;
      for (; r + DROWS <= rows; r += DROWS)
        correct_tile(left + r * left_stride + j, left_stride, e + r * errors_stride, errors_stride, v, stride, n, DROWS);
      for (; r < rows; r++) correct_tile(left + r * left_stride + j, left_stride, e + r * errors_stride, errors_stride, v, stride, n, 1);
    }
    for (size_t r = 0; r < rows; r++)
      for (size_t q = 0; q < n; q++)
        for (size_t j = whole; j < columns; j++) left[r * left_stride + j] -= e[r * errors_stride + q] * u[(i + q) * stride + j];
  }
}

const pg_product_set SET = {mul, gram, correct};
