// Matrix products of many tokens with weights of format g2.
#include "linear_prefill.cuh"

KERNEL(linear_prefill_g2, pg_linear_args, 256) { linear_prefill<g2>(a); }
