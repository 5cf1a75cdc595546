// Matrix products of many tokens with weights of format f16, by wgmma.
#include "prefill_hopper.cuh"

KERNEL_RESIDENT(linear_prefill_f16, pg_linear_args, PG_HOPPER_THREADS, 1) { linear_prefill_hopper<f16>(a); }
