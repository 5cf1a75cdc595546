// Matrix products with weights of format m5.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_few_m5, pg_linear_args, PG_DECODE_BOUND, PG_DECODE_BLOCKS) { linear_decode<m5, true>(a); }
KERNEL(linear_precise_m5, pg_linear_args, 256) { linear_precise<m5>(a); }
KERNEL(embed_m5, pg_embed_args, 256) { embed<m5>(a); }
