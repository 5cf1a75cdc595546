// Reading the repacked layout one weight at a time: the definition that the kernels are tested against, and the embedding.
#include "layout.h"

#include <math.h>
#include <string.h>

float pg_f16_to_f32(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = (h >> 10) & 31, man = h & 1023, bits;
  if (exp == 31) {
    bits = sign | 0x7f800000 | man << 13;
  } else if (exp) {
    bits = sign | (exp + 112) << 23 | man << 13;
  } else { // zero and subnormals: exact in float32
    float f = ldexpf((float)man, -24);
    return sign ? -f : f;
  }
  float f;
  memcpy(&f, &bits, 4);
  return f;
}

// Rounds to nearest even, as vcvtps2ph does. NaN stays a quiet NaN.
uint16_t pg_f32_to_f16(float f) {
  uint32_t x;
  memcpy(&x, &f, 4);
  uint16_t sign = (x >> 16) & 0x8000;
  x &= 0x7fffffff;
  if (x > 0x7f800000) return sign | 0x7e00 | ((x >> 13) & 0x3ff);
  if (x >= 0x477ff000) return sign | 0x7c00; // 65520 and above round to infinity
  if (x < 0x38800000) {                      // below the smallest normal half: units of 2^-24
    float a;
    memcpy(&a, &x, 4);
    return sign | (uint16_t)nearbyintf(ldexpf(a, 24));
  }
  uint32_t r = x + 0xfff + ((x >> 13) & 1);
  return sign | (uint16_t)((r - 0x38000000) >> 13);
}

float pg_load(const uint8_t *p, int type, size_t i) {
  if (type == PG_F32) {
    float f;
    memcpy(&f, p + 4 * i, 4);
    return f;
  }
  uint16_t h;
  memcpy(&h, p + 2 * i, 2);
  if (type == PG_F16) return pg_f16_to_f32(h);
  uint32_t bits = (uint32_t)h << 16;
  float f;
  memcpy(&f, &bits, 4);
  return f;
}

static int code_at(const uint8_t *c, int bits, size_t r, size_t k) {
  size_t u = k / PG_UNIT, at = PG_UNIT * r + k % PG_UNIT;
  switch (bits) {
  case 2:
    return c[32 * (u / 4) + at] >> (2 * (u % 4)) & 3;
  case 3:
    return (c[32 * (u / 4) + at] >> (2 * (u % 4)) & 3) | (c[64 + at] >> u & 1) << 2;
  case 4:
  case 5:
  case 6: {
    int low = c[32 * (u % 4) + at] >> (4 * (u / 4)) & 15;
    if (bits == 5) return low | (c[128 + at] >> u & 1) << 4;
    if (bits == 6) return low | (c[128 + 32 * (u / 4) + at] >> (2 * (u % 4)) & 3) << 4;
    return low;
  }
  default:
    return (int8_t)c[32 * u + at];
  }
}

void pg_unpack_block(int16_t q[PG_OCTET][PG_BLOCK], const uint8_t *codes, int bits) {
  for (size_t r = 0; r < PG_OCTET; r++)
    for (size_t k = 0; k < PG_BLOCK; k++) q[r][k] = (int16_t)code_at(codes, bits, r, k);
}

pg_side pg_side_of(const pg_matrix *w, size_t o, size_t g, size_t b, size_t half, size_t r) {
  size_t at = (o * w->groups + g) * PG_OCTET + r;
  pg_side s = {.scale = pg_load(w->scales, w->type, at), .zero = w->zero};
  if (w->offset == PG_OFFSET_ZEROS) s.zero = (int8_t)w->offsets[at];
  if (w->offset == PG_OFFSET_MIN) s.min = pg_load(w->offsets, PG_F16, at);
  const uint8_t *p = w->parts ? w->part_bytes + o * pg_octet_parts(w) + b * PG_PARTS_BYTES + 2 * r : NULL;
  switch (w->parts) {
  case PG_PARTS_MIN:
    s.scale *= (float)p[0];
    s.min *= (float)p[1];
    break;
  case PG_PARTS_MINS:
    s.scale *= (float)(p[half] & 15);
    s.min *= (float)(p[half] >> 4);
    break;
  case PG_PARTS_ZERO:
    s.scale *= (float)(int8_t)p[half];
    break;
  }
  return s;
}

void pg_unpack_row(float *dst, const pg_matrix *w, size_t n) {
  size_t o = n / PG_OCTET, r = n % PG_OCTET;
  const uint8_t *codes = w->codes + o * pg_octet_bytes(w);
  if (!w->bits) {
    for (size_t k = 0; k < w->in; k++) dst[k] = pg_load(codes, w->type, k * PG_OCTET + r);
    return;
  }
  for (size_t g = 0; g < w->groups; g++) {
    for (size_t b = w->group_start[g]; b < w->group_start[g + 1]; b++) {
      const uint8_t *c = codes + b * pg_block_bytes(w->bits);
      for (size_t half = 0; half < 2; half++) {
        pg_side side = pg_side_of(w, o, g, b, half, r);
        for (size_t k = 16 * half; k < 16 * half + 16; k++) {
          size_t at = b * PG_BLOCK + k;
          if (w->perm && w->perm[at] < 0) continue;
          dst[w->perm ? (size_t)w->perm[at] : at] = side.scale * (float)(code_at(c, w->bits, r, k) - side.zero) + side.min;
        }
      }
    }
  }
}
