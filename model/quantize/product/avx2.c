// AVX2: 6 rows by 16 lanes are 12 of the 16 registers.
#if defined(__x86_64__)
#include "target.h"
PG_TARGET_BEGIN("avx2,fma")
#define SET pg_product_avx2
#define WIDTH 8
#define ROWS 6
#define SPAN 16
#include "kernel.h"
PG_TARGET_END
#endif
