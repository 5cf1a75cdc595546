// Matrix products of up to 8 tokens with weights of format g2; those of up to PG_FEW_TOKENS are linear_few_g2's.
#include "linear_decode.cuh"

KERNEL_RESIDENT(linear_decode_g2, pg_linear_args, 256, PG_DECODE_BLOCKS) { linear_decode<g2, false>(a); }
