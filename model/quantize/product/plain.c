// What every compiler makes of vectors of four.
#define SET pg_product_plain
#define WIDTH 4
#define ROWS 4
#define SPAN 8
#include "kernel.h"
