// Attention with heads of up to 16 elements.
#include "attention_decode.cuh"
#include "attention_prefill.cuh"

KERNEL(attention_decode_16, pg_attention_args, SPLIT_KEYS) { attention_decode<16>(a); }
KERNEL(attention_prefill_16, pg_attention_args, 256) { attention_prefill<16>(a); }
