// Matrix products of up to 8 tokens with weights of format g3; those of up to PG_FEW_TOKENS are linear_few_g3's.
// One block a multiprocessor: with the 128 registers of two, loops over groups spill.
#include "linear_decode.cuh"

KERNEL_RESIDENT(linear_decode_g3, pg_linear_args, 256, 1) { linear_decode<g3, false>(a); }
