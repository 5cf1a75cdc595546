// exp, erf and the activation functions in f32.
//
// Only additions, multiplications, fma, divisions and integer work, each correctly rounded on a GPU and on the host, so that
// both give the same bits (compiled with -ffp-contract=off: a product and a sum are not fused unless it says fma). The
// polynomials are those of model/cpu (avx2_rows.c), where their fit is told. Largest relative errors, over every 53rd f32: exp
// 8.5e-8, erf 7.8e-8, log 2.2e-7, silu 1.7e-7 above −88.7 (0 below, off by 2.7e-37), and gelu 2.1e-7 of |x|/2, since 1 + erf
// cancels below −4. Test: emulator/functions_test.go.
#pragma once
#include "device.cuh"

constexpr float LOG2_E = 1.44269504f;

// exp_f32 returns e^x: subnormal down to −103.97, 0 below, infinity above 88.72. NaN stays NaN.
//
// x = n·ln 2 + r with |r| ≤ ln 2/2 and exp r = 1 + r + r²·P(r). Adding 3·2^22 leaves n in the low bits of the sum. 2^n is
// applied in two factors, since n reaches 128 and −150: the first product is exact, the second rounds once.
DEVICE float exp_f32(float x) {
  x = x > 89.0f ? 89.0f : x < -104.5f ? -104.5f : x;
  float shifted = fma(x, 1.44269504f, 12582912.0f), n = shifted - 12582912.0f;
  float r = fma(n, -0.693359375f, x); // ln 2 in two parts, the first with 10 bits
  r = fma(n, 2.12194440e-4f, r);
  float p = 0.0013814462581649423f;
  p = fma(p, r, 0.008368780836462975f);
  p = fma(p, r, 0.04166839271783829f);
  p = fma(p, r, 0.1666651964187622f);
  p = fma(p, r, 0.4999999403953552f);
  p = fma(p * r, r, r) + 1.0f;
  i32 exponent = i32(f32_to_bits(shifted) - 0x4b400000u), half = exponent >> 1;
  return p * bits_to_f32(u32(half + 127) << 23) * bits_to_f32(u32(exponent - half + 127) << 23);
}

// erf_f32: x + x·P(x²) up to 0.93, 1 − exp(−a·Q(a)) beyond, with a = |x| held at 4, where erf rounds to 1. NaN stays NaN.
DEVICE float erf_f32(float x) {
  float a = x < 0 ? -x : x;
  if (a < 0.93f) {
    float t = x * x, p = 8.316760795423761e-05f;
    p = fma(p, t, -0.0008130008936859667f);
    p = fma(p, t, 0.005199906416237354f);
    p = fma(p, t, -0.026858940720558167f);
    p = fma(p, t, 0.11283687502145767f);
    p = fma(p, t, -0.37612631916999817f);
    p = fma(p, t, 0.12837916612625122f);
    return fma(p, x, x);
  }
  a = a > 4.0f ? 4.0f : a;
  float q = 1.1612584785325453e-05f;
  q = fma(q, a, -0.00032662530429661274f);
  q = fma(q, a, 0.0036580199375748634f);
  q = fma(q, a, -0.023795027285814285f);
  q = fma(q, a, 0.10627521574497223f);
  q = fma(q, a, 0.6351280808448792f);
  q = fma(q, a, 1.1286542415618896f);
  float y = 1.0f - exp_f32(-(q * a));
  return x < 0 ? -y : y;
}

// gelu is the exact form, x/2·(1 + erf(x/√2)). −∞, whose limit is 0, gives NaN here and in silu: it was lost before.
DEVICE float gelu(float x) { return x * 0.5f * (erf_f32(x * 0.70710678118654752f) + 1.0f); }

// silu is x/(1 + e^−x).
DEVICE float silu(float x) { return x / (exp_f32(-x) + 1.0f); }

// log_f32 is ln x for a positive x that is no subnormal; NaN stays NaN. x = m·2^n with m in [√½, √2); ln m = 2·atanh t with
// t = (m−1)/(m+1), |t| ≤ 0.172, by its series up to t⁹: what is left out is below 3e-10.
DEVICE float log_f32(float x) {
  if (x != x) return x;
  u32 bits = f32_to_bits(x) - 0x3f3504f3u;
  float n = float(i32(bits) >> 23), m = bits_to_f32((bits & 0x007fffffu) + 0x3f3504f3u);
  float t = (m - 1.0f) / (m + 1.0f), s = t * t;
  float p = fma(s, fma(s, fma(s, fma(s, 1.0f / 9, 1.0f / 7), 1.0f / 5), 1.0f / 3), 1.0f);
  return fma(n, 0.69314718f, 2.0f * t * p);
}
