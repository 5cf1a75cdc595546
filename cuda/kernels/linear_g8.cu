// Matrix products with weights of format g8.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_decode_g8, pg_linear_args, 256, 3) { linear_decode<g8>(a); }
KERNEL(linear_precise_g8, pg_linear_args, 256) { linear_precise<g8>(a); }
KERNEL(embed_g8, pg_embed_args, 256) { embed<g8>(a); }
