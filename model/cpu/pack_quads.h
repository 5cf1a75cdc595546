// Weights of four rows at a time, on their way from a source into the layout of layout.h: a vector of 16 bytes has a word of each row, and
// a word has the codes of four neighbouring features, a byte each.
#ifndef PEREGRINE_PACK_QUADS_H
#define PEREGRINE_PACK_QUADS_H

#include "layout.h"

#include <string.h>

#define INLINE static inline __attribute__((always_inline)) // whose format is a constant

typedef uint32_t quad __attribute__((vector_size(16))); // a word of each of four rows

#ifndef __has_builtin
#define __has_builtin(x) 0
#endif
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (__typeof__(a)){__VA_ARGS__})
#endif

// Words 0..n-1, of at least four, that each of four rows has from byte `at` on.
INLINE void load_words(quad *to, const uint8_t *const from[4], size_t at, size_t n) {
  for (size_t i = 0; i < n; i += 4) {
    size_t first = i + 4 <= n ? i : n - 4;
    quad a, b, c, d;
    memcpy(&a, from[0] + at + 4 * first, 16);
    memcpy(&b, from[1] + at + 4 * first, 16);
    memcpy(&c, from[2] + at + 4 * first, 16);
    memcpy(&d, from[3] + at + 4 * first, 16);
    quad ab = SHUFFLE(a, b, 0, 4, 1, 5), cd = SHUFFLE(c, d, 0, 4, 1, 5);
    to[first] = SHUFFLE(ab, cd, 0, 1, 4, 5);
    to[first + 1] = SHUFFLE(ab, cd, 2, 3, 6, 7);
    ab = SHUFFLE(a, b, 2, 6, 3, 7), cd = SHUFFLE(c, d, 2, 6, 3, 7);
    to[first + 2] = SHUFFLE(ab, cd, 0, 1, 4, 5);
    to[first + 3] = SHUFFLE(ab, cd, 2, 3, 6, 7);
  }
}

// The same bits of each byte, brought to place `to`.
INLINE quad bits_of(quad word, int from, uint32_t mask, int to) { return ((word >> from) & mask * 0x01010101u) << to; }

// Codes of 32 features, as words, into a block of the layout: 16 bytes of each vector, from `to` on.
INLINE void put_codes(uint8_t *to, const quad q[8], int bits) {
  quad word;
  if (bits == 8) {
    for (size_t u = 0; u < 8; u++) memcpy(to + 32 * u, &q[u], 16);
    return;
  }
  if (bits >= 4) {
    for (size_t i = 0; i < 4; i++) {
      word = bits_of(q[i], 0, 15, 0) | bits_of(q[i + 4], 0, 15, 4);
      memcpy(to + 32 * i, &word, 16);
    }
  }
  uint8_t *pairs = bits == 6 ? to + 128 : to, *ones = bits == 5 ? to + 128 : to + 64;
  if (bits == 2 || bits == 3 || bits == 6) {
    int from = bits == 6 ? 4 : 0;
    for (size_t v = 0; v < 2; v++) {
      word = bits_of(q[4 * v], from, 3, 0);
      for (int i = 1; i < 4; i++) word |= bits_of(q[4 * v + (size_t)i], from, 3, 2 * i);
      memcpy(pairs + 32 * v, &word, 16);
    }
  }
  if (bits == 3 || bits == 5) {
    word = bits_of(q[0], bits - 1, 1, 0);
    for (int u = 1; u < 8; u++) word |= bits_of(q[u], bits - 1, 1, u);
    memcpy(ones, &word, 16);
  }
}

#endif
