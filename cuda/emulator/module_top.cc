#include "module.hpp"

namespace {
#include "../kernels/top.cu"
} // namespace

MODULE("top")
