// norm_cores for compute capability 9.0 and later: its kernels begin before those ahead of them have finished.
#include "norm_cores.cu"
