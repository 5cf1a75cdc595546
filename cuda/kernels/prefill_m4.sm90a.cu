// Matrix products of many tokens with weights of format m4, by wgmma.
#include "prefill_hopper.cuh"

KERNEL_RESIDENT(linear_prefill_m4, pg_linear_args, PG_HOPPER_THREADS, 1) { linear_prefill_hopper<m4>(a); }
