// Matrix products of many tokens with weights of format g3, by wgmma.
#include "prefill_hopper.cuh"

KERNEL_RESIDENT(linear_prefill_g3, pg_linear_args, PG_HOPPER_THREADS, 1) { linear_prefill_hopper<g3>(a); }
