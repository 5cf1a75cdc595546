// attention_16 for compute capability 9.0 and later: a kernel begins before those ahead of it have finished.
#include "attention_16.cu"
