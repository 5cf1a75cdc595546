// Matrix products with weights of format f32.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_few_f32, pg_linear_args, PG_DECODE_BOUND, PG_DECODE_BLOCKS) { linear_decode<f32, true>(a); }
KERNEL(linear_precise_f32, pg_linear_args, 256) { linear_precise<f32>(a); }
KERNEL(embed_f32, pg_embed_args, 256) { embed<f32>(a); }
