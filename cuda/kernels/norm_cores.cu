// norm_cores: norm, with x in the form PG_CORES. A module of its own, which a token does not wait for.
#include "norm.cuh"

KERNEL(norm_cores, pg_norm_args, 256) {
  SHARED(float, sums, 32);
  SHARED(float, squares, 32);
  norm_row<true>(a, sums, squares);
}
