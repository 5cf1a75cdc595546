// Matrix products of up to 8 tokens with weights of format m5; those of up to PG_FEW_TOKENS are linear_few_m5's.
#include "linear_decode.cuh"

KERNEL_RESIDENT(linear_decode_m5, pg_linear_args, PG_DECODE_BOUND, PG_DECODE_BLOCKS) { linear_decode<m5, false>(a); }
