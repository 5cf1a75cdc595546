#include "../emulated.hpp"

#include "test_args.h"

namespace {
#include "faults.cuh"
#include "right.cuh"
} // namespace

extern "C" const void *peregrine_testkernels(void) { return emulated::kernels; }
