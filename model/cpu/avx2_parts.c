// AVX2: integer products of K-quants and int8 activations.
//
// The widening vpmaddwd multiplies with the integer scale of the 16 or 32 features instead of with one, so that a block is one 32-bit
// sum under the scale of its group: 32 features with scales up to 128 times codes up to 63 stay below 2^26.
#include "avx2.h"

#if defined(__x86_64__)
PG_AVX2_BEGIN

#define PG_MUL_PARTS pg_avx2_mul_parts
#include "avx2_dot.h"
#include "int8_dots.h"
#include "int8_parts.h"

PG_AVX2_END
#endif
