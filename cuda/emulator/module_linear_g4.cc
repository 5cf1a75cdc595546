#include "module.hpp"

namespace {
#include "../kernels/linear_g4.cu"
} // namespace

MODULE("linear_g4")
