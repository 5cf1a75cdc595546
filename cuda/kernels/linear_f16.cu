// Matrix products with weights of format f16.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_few_f16, pg_linear_args, PG_DECODE_BOUND, PG_DECODE_BLOCKS) { linear_decode<f16, true>(a); }
KERNEL(linear_precise_f16, pg_linear_args, 256) { linear_precise<f16>(a); }
KERNEL(embed_f16, pg_embed_args, 256) { embed<f16>(a); }
