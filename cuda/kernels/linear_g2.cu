// Matrix products with weights of format g2.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_few_g2, pg_linear_args, 256, PG_DECODE_BLOCKS) { linear_decode<g2, true>(a); }
KERNEL(linear_precise_g2, pg_linear_args, 256) { linear_precise<g2>(a); }
KERNEL(embed_g2, pg_embed_args, 256) { embed<g2>(a); }
