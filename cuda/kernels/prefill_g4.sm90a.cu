// Matrix products of many tokens with weights of format g4, by wgmma.
#include "prefill_hopper.cuh"

KERNEL_RESIDENT(linear_prefill_g4, pg_linear_args, PG_HOPPER_THREADS, 1) { linear_prefill_hopper<g4>(a); }
