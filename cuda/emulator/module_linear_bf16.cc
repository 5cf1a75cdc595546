#include "module.hpp"

namespace {
#include "../kernels/linear_bf16.cu"
} // namespace

MODULE("linear_bf16")
