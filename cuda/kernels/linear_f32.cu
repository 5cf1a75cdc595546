// Matrix products with weights of format f32.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_decode_f32, pg_linear_args, 256, 3) { linear_decode<f32>(a); }
KERNEL(linear_precise_f32, pg_linear_args, 256) { linear_precise<f32>(a); }
KERNEL(embed_f32, pg_embed_args, 256) { embed<f32>(a); }
