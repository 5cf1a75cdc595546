// The steps of int8_dots.h by AVX2. vpmaddubsw multiplies a unit's unsigned bytes with 4 features of a token, broadcast, into pairs of
// 16-bit sums, which vpmaddwd widens, with a scale where there is one.

PG_INLINE __m256i first_step(__m256i codes, __m256i x) { return _mm256_maddubs_epi16(codes, x); }

PG_INLINE __m256i step(__m256i sum, __m256i codes, __m256i x) {
  __m256i product;
  __asm__("vpmaddubsw %3, %2, %1\n\tvpaddw %1, %0, %0" : "+x"(sum), "=&x"(product) : "x"(codes), "x"(x));
  return sum;
}

PG_INLINE __m256i scaled(__m256i sum, __m256i pairs) { return _mm256_madd_epi16(sum, pairs); }

PG_INLINE __m256i whole(__m256i sum) { return scaled(sum, _mm256_set1_epi16(1)); }

// 8 units of 4-bit codes stay below 8*2*15*127 = 30480, 4 units of 5 bits below 31496, 2 of 6 bits below 32004. 8-bit codes are
// signed and take |w|: at most 2*128*127 = 32512.
PG_INLINE int span(int bits) { return bits == 8 ? 1 : bits == 6 ? 2 : bits == 5 ? 4 : 8; }
