// Matrix products of many tokens with weights of format f32.
#include "linear_prefill.cuh"

KERNEL(linear_prefill_f32, pg_linear_args, 256) { linear_prefill<f32>(a); }
