// Matrix products with weights of format k2.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_few_k2, pg_linear_args, 256, PG_DECODE_BLOCKS) { linear_decode<k2, true>(a); }
KERNEL(linear_precise_k2, pg_linear_args, 256) { linear_precise<k2>(a); }
KERNEL(embed_k2, pg_embed_args, 256) { embed<k2>(a); }
