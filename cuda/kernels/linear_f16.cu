// Matrix products with weights of format f16.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_decode_f16, pg_linear_args, 256, 3) { linear_decode<f16>(a); }
KERNEL(linear_precise_f16, pg_linear_args, 256) { linear_precise<f16>(a); }
KERNEL(embed_f16, pg_embed_args, 256) { embed<f16>(a); }
