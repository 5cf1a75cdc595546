// Matrix products with weights of format k3.
#include "embed.cuh"
#include "linear_decode.cuh"
#include "linear_precise.cuh"

KERNEL_RESIDENT(linear_few_k3, pg_linear_args, 256, 1) { linear_decode<k3, true>(a); }
KERNEL(linear_precise_k3, pg_linear_args, 256) { linear_precise<k3>(a); }
KERNEL(embed_k3, pg_embed_args, 256) { embed<k3>(a); }
