#include "module.hpp"

namespace {
#include "../kernels/linear_m4.cu"
} // namespace

MODULE("linear_m4")
