// Matrix products of many tokens with weights of format g3.
#include "linear_prefill.cuh"

KERNEL(linear_prefill_g3, pg_linear_args, 256) { linear_prefill<g3>(a); }
