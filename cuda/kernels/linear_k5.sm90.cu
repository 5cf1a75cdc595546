// linear_k5 for compute capability 9.0 and later: its kernels begin before those ahead of them have finished.
#include "linear_k5.cu"
