// Matrix products of up to 8 tokens with weights of format g5; those of up to PG_FEW_TOKENS are linear_few_g5's.
#include "linear_decode.cuh"

KERNEL_RESIDENT(linear_decode_g5, pg_linear_args, PG_DECODE_BOUND, PG_DECODE_BLOCKS) { linear_decode<g5, false>(a); }
