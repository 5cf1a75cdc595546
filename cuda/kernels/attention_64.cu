// Attention with heads of up to 64 elements.
#include "attention_decode.cuh"
#include "attention_prefill.cuh"

// In 64 registers, so that a block has room beside two of linear_decode.
KERNEL_RESIDENT(attention_decode_64, pg_attention_args, SPLIT_KEYS, 4) { attention_decode<64>(a); }
KERNEL(attention_prefill_64, pg_attention_args, 256) { attention_prefill<64>(a); }
