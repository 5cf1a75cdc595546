#include "module.hpp"

namespace {
#include "../kernels/linear_f32.cu"
} // namespace

MODULE("linear_f32")
