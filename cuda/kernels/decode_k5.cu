// Matrix products of up to 8 tokens with weights of format k5; those of up to PG_FEW_TOKENS are linear_few_k5's.
#include "linear_decode.cuh"

KERNEL_RESIDENT(linear_decode_k5, pg_linear_args, PG_DECODE_BOUND, PG_DECODE_BLOCKS) { linear_decode<k5, false>(a); }
