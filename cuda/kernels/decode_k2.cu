// Matrix products of up to 8 tokens with weights of format k2; those of up to PG_FEW_TOKENS are linear_few_k2's.
#include "linear_decode.cuh"

KERNEL_RESIDENT(linear_decode_k2, pg_linear_args, 256, PG_DECODE_BLOCKS) { linear_decode<k2, false>(a); }
