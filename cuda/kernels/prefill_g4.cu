// Matrix products of many tokens with weights of format g4.
#include "linear_prefill.cuh"

KERNEL(linear_prefill_g4, pg_linear_args, 256) { linear_prefill<g4>(a); }
