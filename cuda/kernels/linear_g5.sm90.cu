// linear_g5 for compute capability 9.0 and later: its kernels begin before those ahead of them have finished.
#include "linear_g5.cu"
