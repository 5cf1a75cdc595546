// Matrix products with weights of format g8.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_few_g8, pg_linear_args, PG_DECODE_BOUND, PG_DECODE_BLOCKS) { linear_decode<g8, true>(a); }
KERNEL(linear_precise_g8, pg_linear_args, 256) { linear_precise<g8>(a); }
KERNEL(embed_g8, pg_embed_args, 256) { embed<g8>(a); }
