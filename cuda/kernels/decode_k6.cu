// Matrix products of up to 8 tokens with weights of format k6; those of up to PG_FEW_TOKENS are linear_few_k6's.
#include "linear_decode.cuh"

KERNEL_RESIDENT(linear_decode_k6, pg_linear_args, PG_DECODE_BOUND, PG_DECODE_BLOCKS) { linear_decode<k6, false>(a); }
