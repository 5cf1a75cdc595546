// Which sets run on this machine.
#include "product.h"

const pg_product_set *pg_product_at(size_t i) {
  const pg_product_set *runs[3];
  size_t n = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) runs[n++] = &pg_product_avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) runs[n++] = &pg_product_avx2;
#endif
  runs[n++] = &pg_product_plain;
  return i < n ? runs[i] : NULL;
}

void pg_product_mul(const pg_product_set *set, float *y, const float *x, const float *panels, size_t m, size_t k, size_t n) {
  set->mul(y, x, panels, m, k, n);
}

void pg_product_gram(const pg_product_set *set, double *sum, const float *x, size_t tokens, size_t n, size_t lo, size_t hi) {
  set->gram(sum, x, tokens, n, lo, hi);
}

void pg_product_correct(const pg_product_set *set, double *left, size_t left_stride, const double *errors, size_t errors_stride, const double *u,
                        size_t stride, size_t rows, size_t steps, size_t columns) {
  set->correct(left, left_stride, errors, errors_stride, u, stride, rows, steps, columns);
}
