// Matrix products with weights of format g2.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_decode_g2, pg_linear_args, 256, 2) { linear_decode<g2>(a); }
KERNEL(linear_precise_g2, pg_linear_args, 256) { linear_precise<g2>(a); }
KERNEL(embed_g2, pg_embed_args, 256) { embed<g2>(a); }
