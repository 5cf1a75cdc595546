// What a module's .cc file needs: the names of kernels, and MODULE(name), which lists its kernels with the emulator.
#pragma once
#include "emulated.hpp"
#include "emulator.h"

// The hash of the kernel sources and of the headers here: a changed source changes this file, which the build sees.
#include "sources.h"

namespace emulated {
namespace {
struct Listed {
  Listed(const char *module, const Kernel *k) { peregrine_emulator_list(module, k); }
};
} // namespace
} // namespace emulated

#define MODULE(name) static const emulated::Listed listed(name, emulated::kernels);
