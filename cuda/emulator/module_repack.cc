#include "module.hpp"

namespace {
#include "../kernels/repack.cu"
} // namespace

MODULE("repack")
