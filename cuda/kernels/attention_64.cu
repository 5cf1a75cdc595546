// Attention with heads of up to 64 elements.
#include "attention_decode.cuh"
#include "attention_prefill.cuh"

KERNEL(attention_decode_64, pg_attention_args, 256) { attention_decode<64>(a); }
KERNEL(attention_prefill_64, pg_attention_args, 256) { attention_prefill<64>(a); }
