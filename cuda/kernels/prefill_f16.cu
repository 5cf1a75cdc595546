// Matrix products of many tokens with weights of format f16.
#include "linear_prefill.cuh"

KERNEL(linear_prefill_f16, pg_linear_args, 256) { linear_prefill<f16>(a); }
