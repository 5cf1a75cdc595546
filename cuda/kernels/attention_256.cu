// Attention with heads of up to 256 elements.
#include "attention_decode.cuh"
#include "attention_prefill.cuh"

KERNEL(attention_decode_256, pg_attention_args, SPLIT_KEYS) { attention_decode<256>(a); }
KERNEL(attention_prefill_256, pg_attention_args, 256) { attention_prefill<256>(a); }
