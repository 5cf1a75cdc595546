// Matrix products of up to 8 tokens with weights of format k3; those of up to PG_FEW_TOKENS are linear_few_k3's.
#include "linear_decode.cuh"

KERNEL_RESIDENT(linear_decode_k3, pg_linear_args, 256, 1) { linear_decode<k3, false>(a); }
