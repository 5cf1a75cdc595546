// Conversions between f16 and f32 as cvt.rn.f16.f32 and cvt.f32.f16 do them: to nearest, ties to even, denormals kept, a NaN
// becomes the canonical one.
#pragma once

#include <stdint.h>

namespace emulated {

inline float f32_of_bits(uint32_t b) {
  float v;
  __builtin_memcpy(&v, &b, 4);
  return v;
}
inline uint32_t bits_of_f32(float v) {
  uint32_t b;
  __builtin_memcpy(&b, &v, 4);
  return b;
}

inline float f32_of_f16(uint16_t h) {
  uint32_t sign = uint32_t(h & 0x8000) << 16, rest = h & 0x7fff;
  if (rest > 0x7c00) return f32_of_bits(0x7fffffff);
  if (rest == 0x7c00) return f32_of_bits(sign | 0x7f800000);
  // The exponent is 112 too low; a multiplication by 2^112 corrects it, for denormals too, and is exact.
  return f32_of_bits(bits_of_f32(f32_of_bits(rest << 13) * 0x1p112f) | sign);
}

inline uint16_t f16_of_f32(float v) {
  uint32_t bits = bits_of_f32(v), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
  if (rest > 0x7f800000) return 0x7fff;
  if (rest >= 0x477ff000) return uint16_t(sign | 0x7c00); // 65520, halfway to what would be the next, rounds to infinity
  if (rest < 0x38800000) // below 2^-14: adding 0.5 leaves units of 2^-24, rounded by the addition
    return uint16_t(sign | (bits_of_f32(f32_of_bits(rest) + 0.5f) - 0x3f000000));
  rest += 0xfff + (rest >> 13 & 1); // ties to even
  return uint16_t(sign | (rest - 0x38000000) >> 13);
}

// f16_of_f64 rounds once; it serves the fused operations, whose exact results f64 holds (f16 has 11 bits).
inline uint16_t f16_of_f64(double v) {
  if (v != v) return 0x7fff;
  uint64_t bits;
  __builtin_memcpy(&bits, &v, 8);
  uint16_t sign = uint16_t(bits >> 48 & 0x8000);
  double size = v < 0 ? -v : v;
  if (size >= 65520) return sign | 0x7c00;
  __builtin_memcpy(&bits, &size, 8);
  if (size < 0x1p-14) {
    double units = size + 0x1p28; // units of 2^-24
    __builtin_memcpy(&bits, &units, 8);
    return uint16_t(sign | (bits & 0xffff));
  }
  bits += (uint64_t(1) << 41) - 1 + (bits >> 42 & 1);
  return uint16_t(sign | (bits - (uint64_t(1008) << 52)) >> 42);
}

} // namespace emulated
