#include "../emulated.hpp"

// The hash of the kernel sources, of which math.cuh is one, and of the emulator's headers: the build sees a change.
#include "sources.h"
#include "test_args.h"

namespace {
#include "faults.hpp"
#include "functions.hpp"
#include "right.hpp"
} // namespace

extern "C" const void *peregrine_testkernels(void) { return emulated::kernels; }
