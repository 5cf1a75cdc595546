// The steps of int8_dots.h by vpdpbusd, which multiplies a unit's 4 unsigned bytes with 4 signed ones and adds the products to a 32-bit
// sum: no 16-bit sums that must not overflow, and half of AVX2's instructions. A file that includes this defines dpbusd for its
// encoding, in 256 bits.
//
// dpbusd(sum, codes, x): sum[i] += codes[4i]·x[4i] + … + codes[4i+3]·x[4i+3].

PG_INLINE __m256i step(__m256i sum, __m256i codes, __m256i x) { return dpbusd(sum, codes, x); }

PG_INLINE __m256i first_step(__m256i codes, __m256i x) { return dpbusd(_mm256_setzero_si256(), codes, x); }

PG_INLINE __m256i whole(__m256i sum) { return sum; }

// The upper half of a pair, shifted down with its sign, is the integer.
PG_INLINE __m256i scaled(__m256i sum, __m256i pairs) { return _mm256_mullo_epi32(sum, _mm256_srai_epi32(pairs, 16)); }

PG_INLINE int span(int bits) {
  (void)bits;
  return 8;
}
