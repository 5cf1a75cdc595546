// Matrix products of many tokens with weights of format m4.
#include "linear_prefill.cuh"

KERNEL(linear_prefill_m4, pg_linear_args, 256) { linear_prefill<m4>(a); }
