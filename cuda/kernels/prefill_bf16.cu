// Matrix products of many tokens with weights of format bf16.
#include "linear_prefill.cuh"

KERNEL(linear_prefill_bf16, pg_linear_args, 256) { linear_prefill<bf16>(a); }
