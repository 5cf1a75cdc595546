#include "module.hpp"

namespace {
#include "../kernels/attention.cu"
} // namespace

MODULE("attention")
