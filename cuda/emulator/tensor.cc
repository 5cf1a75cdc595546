// The tensor cores: fragments as the PTX ISA lays them out ("Matrix fragments for mma.m16n8k16", "ldmatrix").
#include <string.h>

#include "block.hpp"
#include "half.hpp"
#include "runner.hpp"

namespace emulated {

// Lane l = 4·g + t holds of a[16][16] the pairs (g, 2t), (g+8, 2t), (g, 2t+8), (g+8, 2t+8), of b[16][8] the pairs of rows
// (2t, g), (2t+8, g), of c[16][8] the elements (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1). Sums are f32, in the order of k.
void mma(void *const *shares) {
  float a[16][16], b[16][8], c[16][8];
  for (uint32_t lane = 0; lane < warp_size; lane++) {
    const MmaShare &s = *static_cast<const MmaShare *>(shares[lane]);
    uint32_t g = lane / 4, t = lane % 4 * 2;
    for (uint32_t i = 0; i < 4; i++) {
      uint32_t row = g + i % 2 * 8, column = t + i / 2 * 8;
      a[row][column] = f32_of_f16(uint16_t(s.a[i]));
      a[row][column + 1] = f32_of_f16(uint16_t(s.a[i] >> 16));
    }
    for (uint32_t i = 0; i < 2; i++) {
      b[t + 8 * i][g] = f32_of_f16(uint16_t(s.b[i]));
      b[t + 8 * i + 1][g] = f32_of_f16(uint16_t(s.b[i] >> 16));
    }
    for (uint32_t i = 0; i < 4; i++) c[g + i / 2 * 8][t + i % 2] = s.c[i];
  }
  for (uint32_t row = 0; row < 16; row++)
    for (uint32_t k = 0; k < 16; k++)
      for (uint32_t column = 0; column < 8; column++) c[row][column] += a[row][k] * b[k][column];
  for (uint32_t lane = 0; lane < warp_size; lane++) {
    const MmaShare &s = *static_cast<const MmaShare *>(shares[lane]);
    uint32_t g = lane / 4, t = lane % 4 * 2;
    for (uint32_t i = 0; i < 4; i++) s.c[i] = c[g + i / 2 * 8][t + i % 2];
  }
}

// Register i of lane l is the pair (l/4, 2·(l%4)) of matrix i, or of its transpose; lane 8·i + r says where row r is.
void load_matrices(void *const *shares, bool transposed) {
  for (uint32_t i = 0; i < 4; i++) {
    uint16_t m[8][8];
    for (uint32_t row = 0; row < 8; row++)
      memcpy(m[row], static_cast<const MatrixShare *>(shares[8 * i + row])->row, sizeof m[row]);
    for (uint32_t lane = 0; lane < warp_size; lane++) {
      uint32_t g = lane / 4, t = lane % 4 * 2;
      uint32_t low = transposed ? m[t][g] : m[g][t], high = transposed ? m[t + 1][g] : m[g][t + 1];
      static_cast<const MatrixShare *>(shares[lane])->v[i] = low | high << 16;
    }
  }
}

} // namespace emulated
