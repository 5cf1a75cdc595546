#include "module.hpp"

namespace {
#include "../kernels/linear_g3.cu"
} // namespace

MODULE("linear_g3")
