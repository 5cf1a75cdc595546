// Dot products by vpdpbusd, which multiplies a unit's 4 unsigned bytes with 4 signed ones and adds the products to a 32-bit sum: no
// 16-bit sums that must not overflow, and half of AVX2's instructions. A file that includes this defines dpbusd for its encoding, in
// 256 bits, and the names of int8_octets.h.
//
// dpbusd(sum, codes, x): sum[i] += codes[4i]·x[4i] + … + codes[4i+3]·x[4i+3].

PG_INLINE __m256i dot_unsigned(const __m256i w[8], const int8_t *x, int bits) {
  (void)bits;
  __m256i a = _mm256_setzero_si256(), b = a;
  for (int u = 0; u < 8; u += 2) {
    a = dpbusd(a, w[u], pg_unit(x, u));
    b = dpbusd(b, w[u + 1], pg_unit(x, u + 1));
  }
  return _mm256_add_epi32(a, b);
}

// Signed codes take |w| * (x with w's sign).
PG_INLINE void dot_signed(__m256i dot[PG_TILE], const uint8_t *c, const int8_t *x, int tokens) {
  for (int t = 0; t < tokens; t++) dot[t] = _mm256_setzero_si256();
  for (int u = 0; u < 8; u++) {
    __m256i w = _mm256_load_si256((const __m256i *)c + u), a = _mm256_abs_epi8(w);
    for (int t = 0; t < tokens; t++) dot[t] = dpbusd(dot[t], a, _mm256_sign_epi8(pg_unit(x + 32 * t, u), w));
  }
}

// Four units with a token.
PG_INLINE __m256i half_dot(const __m256i w[8], const int8_t *x, int first) {
  __m256i a = dpbusd(_mm256_setzero_si256(), w[first], pg_unit(x, first));
  __m256i b = dpbusd(_mm256_setzero_si256(), w[first + 1], pg_unit(x, first + 1));
  return _mm256_add_epi32(dpbusd(a, w[first + 2], pg_unit(x, first + 2)), dpbusd(b, w[first + 3], pg_unit(x, first + 3)));
}

// A 16-bit integer of each row as 32 bits: pairs hold it twice, so that the upper half, shifted down with its sign, is it.
PG_INLINE __m256i widened(__m256i pairs) { return _mm256_srai_epi32(pairs, 16); }

PG_INLINE __m256i dot_parts(const __m256i w[8], const int8_t *x, int bits, int parts, const pg_parts8 *s) {
  if (parts == PG_PARTS_MIN) return _mm256_mullo_epi32(dot_unsigned(w, x, bits), widened(s->first));
  return _mm256_add_epi32(_mm256_mullo_epi32(half_dot(w, x, 0), widened(s->first)),
                          _mm256_mullo_epi32(half_dot(w, x, 4), widened(s->last)));
}
