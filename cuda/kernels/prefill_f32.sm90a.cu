// Matrix products of many tokens with weights of format f32, by wgmma.
#include "prefill_hopper.cuh"

KERNEL_RESIDENT(linear_prefill_f32, pg_linear_args, PG_HOPPER_THREADS, 1) { linear_prefill_hopper<f32>(a); }
