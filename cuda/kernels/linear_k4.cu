// Matrix products with weights of format k4.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_few_k4, pg_linear_args, PG_DECODE_BOUND, PG_DECODE_BLOCKS) { linear_decode<k4, true>(a); }
KERNEL(linear_precise_k4, pg_linear_args, 256) { linear_precise<k4>(a); }
KERNEL(embed_k4, pg_embed_args, 256) { embed<k4>(a); }
