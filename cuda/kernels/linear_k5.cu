// Matrix products with weights of format k5.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_few_k5, pg_linear_args, PG_DECODE_BOUND, PG_DECODE_BLOCKS) { linear_decode<k5, true>(a); }
KERNEL(linear_precise_k5, pg_linear_args, 256) { linear_precise<k5>(a); }
KERNEL(embed_k5, pg_embed_args, 256) { embed<k5>(a); }
