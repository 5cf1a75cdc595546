// The kernels of package product. Sizes are in elements, matrices row-major, arrays need no alignment.
#ifndef PEREGRINE_PRODUCT_H
#define PEREGRINE_PRODUCT_H

#include <stddef.h>

enum {
  PG_LANES = 32,        // columns of a panel
  PG_DEPTH = 256,       // features that are taken at a time: a panel's part of 32 KiB stays in the first-level cache
  PG_GRAM_ROWS = 96,    // rows of a Gram matrix that one call makes at most
  PG_GRAM_TOKENS = 128, // tokens that are summed in float32
};

typedef struct pg_product_set {
  // y[m][n] = x[m][k] . W^T, W in panels [ceil(n / 32)][k][32].
  void (*mul)(float *y, const float *x, const float *panels, size_t m, size_t k, size_t n);

  // sum[i][j] += the sum over tokens of x[t][i] * x[t][j], for lo <= i < hi, j <= i; hi - lo <= PG_GRAM_ROWS.
  void (*gram)(double *sum, const float *x, size_t tokens, size_t n, size_t lo, size_t hi);

  // left[r * left_stride + j] -= the sum over i < steps of errors[r * errors_stride + i] * u[i * stride + j], for r < rows, j < columns.
  void (*correct)(double *left, size_t left_stride, const double *errors, size_t errors_stride, const double *u, size_t stride, size_t rows,
                  size_t steps, size_t columns);
} pg_product_set;

extern const pg_product_set pg_product_plain;
#if defined(__x86_64__)
extern const pg_product_set pg_product_avx2, pg_product_avx512;
#endif

// pg_product_at returns the i-th set that runs here, best first; NULL past the end.
const pg_product_set *pg_product_at(size_t i);

// The functions of a set, since Go cannot call through a pointer.
void pg_product_mul(const pg_product_set *set, float *y, const float *x, const float *panels, size_t m, size_t k, size_t n);
void pg_product_gram(const pg_product_set *set, double *sum, const float *x, size_t tokens, size_t n, size_t lo, size_t hi);
void pg_product_correct(const pg_product_set *set, double *left, size_t left_stride, const double *errors, size_t errors_stride, const double *u,
                        size_t stride, size_t rows, size_t steps, size_t columns);

#endif
