// Matrix products with weights of format bf16.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_decode_bf16, pg_linear_args, 256, 3) { linear_decode<bf16>(a); }
KERNEL(linear_precise_bf16, pg_linear_args, 256) { linear_precise<bf16>(a); }
KERNEL(embed_bf16, pg_embed_args, 256) { embed<bf16>(a); }
