#include "module.hpp"

namespace {
#include "../kernels/linear_g2.cu"
} // namespace

MODULE("linear_g2")
