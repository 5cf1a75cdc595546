#include "../emulated.hpp"

#include "test_args.h"

namespace {
#include "faults.hpp"
#include "right.hpp"
} // namespace

extern "C" const void *peregrine_testkernels(void) { return emulated::kernels; }
