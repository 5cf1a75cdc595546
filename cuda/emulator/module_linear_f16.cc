#include "module.hpp"

namespace {
#include "../kernels/linear_f16.cu"
} // namespace

MODULE("linear_f16")
