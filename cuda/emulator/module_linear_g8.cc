#include "module.hpp"

namespace {
#include "../kernels/linear_g8.cu"
} // namespace

MODULE("linear_g8")
