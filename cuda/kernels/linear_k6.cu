// Matrix products with weights of format k6.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_few_k6, pg_linear_args, PG_DECODE_BOUND, PG_DECODE_BLOCKS) { linear_decode<k6, true>(a); }
KERNEL(linear_precise_k6, pg_linear_args, 256) { linear_precise<k6>(a); }
KERNEL(embed_k6, pg_embed_args, 256) { embed<k6>(a); }
