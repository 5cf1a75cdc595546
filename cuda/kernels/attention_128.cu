// Attention with heads of up to 128 elements.
#include "attention_decode.cuh"
#include "attention_prefill.cuh"

KERNEL(attention_decode_128, pg_attention_args, SPLIT_KEYS) { attention_decode<128>(a); }
KERNEL(attention_prefill_128, pg_attention_args, 256) { attention_prefill<128>(a); }
