#include "module.hpp"

namespace {
#include "../kernels/norm.cu"
} // namespace

MODULE("norm")
