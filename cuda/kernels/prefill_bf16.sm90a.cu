// Matrix products of many tokens with weights of format bf16, by wgmma.
#include "prefill_hopper.cuh"

KERNEL_RESIDENT(linear_prefill_bf16, pg_linear_args, PG_HOPPER_THREADS, 1) { linear_prefill_hopper<bf16>(a); }
