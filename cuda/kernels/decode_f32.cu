// Matrix products of up to 8 tokens with weights of format f32; those of up to PG_FEW_TOKENS are linear_few_f32's.
#include "linear_decode.cuh"

KERNEL_RESIDENT(linear_decode_f32, pg_linear_args, PG_DECODE_BOUND, PG_DECODE_BLOCKS) { linear_decode<f32, false>(a); }
