// Matrix products with weights of format g3.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_few_g3, pg_linear_args, 256, 1) { linear_decode<g3, true>(a); }
KERNEL(linear_precise_g3, pg_linear_args, 256) { linear_precise<g3>(a); }
KERNEL(embed_g3, pg_embed_args, 256) { embed<g3>(a); }
