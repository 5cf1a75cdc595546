// AVX-512: 12 rows by 32 lanes are 24 of the 32 registers.
#if defined(__x86_64__)
#include "target.h"
PG_TARGET_BEGIN("avx512f,avx2,fma")
#define SET pg_product_avx512
#define WIDTH 16
#define ROWS 12
#define SPAN 32
#include "kernel.h"
PG_TARGET_END
#endif
