// Matrix products of many tokens with weights of format g8.
#include "linear_prefill.cuh"

KERNEL(linear_prefill_g8, pg_linear_args, 256) { linear_prefill<g8>(a); }
