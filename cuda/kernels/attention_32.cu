// Attention with heads of up to 32 elements.
#include "attention_decode.cuh"
#include "attention_prefill.cuh"

KERNEL(attention_decode_32, pg_attention_args, SPLIT_KEYS) { attention_decode<32>(a); }
KERNEL(attention_prefill_32, pg_attention_args, 256) { attention_prefill<32>(a); }
