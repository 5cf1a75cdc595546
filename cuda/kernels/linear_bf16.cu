// Matrix products with weights of format bf16.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_few_bf16, pg_linear_args, PG_DECODE_BOUND, PG_DECODE_BLOCKS) { linear_decode<bf16, true>(a); }
KERNEL(linear_precise_bf16, pg_linear_args, 256) { linear_precise<bf16>(a); }
KERNEL(embed_bf16, pg_embed_args, 256) { embed<bf16>(a); }
