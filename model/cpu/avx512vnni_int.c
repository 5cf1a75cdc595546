// AVX-512-VNNI: integer products of quantised weights and int8 activations; vnni.h has them.
#include "avx2.h"

#if defined(__x86_64__)
PG_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512vl,avx512vnni")

PG_INLINE __m256i dpbusd(__m256i sum, __m256i codes, __m256i x) { return _mm256_dpbusd_epi32(sum, codes, x); }

#define PG_MUL_INT pg_avx512vnni_mul_int
#define PG_MUL_PARTS pg_avx512vnni_mul_parts
#include "vnni.h"
#include "int8_dots.h"
#include "int8_parts.h"
#include "int8_octets.h"

PG_TARGET_END
#endif
