// decode_k3 for compute capability 9.0 and later: its kernels begin before those ahead of them have finished.
#include "decode_k3.cu"
