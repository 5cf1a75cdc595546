// Products of K-quants and int8 activations, over what a file that includes this defines:
//
//   dot_parts(w, x, bits, parts, s)   the sum over a block of s * code * x for 8 rows and one token
//   PG_MUL_PARTS                      the name of the whole
//
// What is the same for a run of features, a zero point or a minimum, takes the integer sums of the activations' halves.

PG_INLINE __m256i half_sums(const pg_tile *x, size_t at) {
  int v;
  __builtin_memcpy(&v, x->h + 2 * at, 4);
  return _mm256_set1_epi32(v);
}

// One block for all tokens. d, m: scale and negated minimum of the group; zero: of PG_PARTS_ZERO.
PG_INLINE void block_parts(__m256 acc[PG_TILE], const uint8_t *c, const uint8_t *part, int bits, int parts, int tokens,
                           const pg_tile *x, size_t b, __m256 d, __m256 m, __m256i zero) {
  __m256i w[8];
  const pg_parts8 s = pg_load_parts(part, parts);
  const __m256i zeros = _mm256_mullo_epi16(s.pair, zero);
  const __m256 min = _mm256_mul_ps(m, _mm256_cvtepi32_ps(s.min));
  pg_unpack8(w, c, bits);
  for (int t = 0; t < tokens; t++) {
    size_t at = b * x->stride + (size_t)t;
    __m256 xd = _mm256_set1_ps(x->d[at]);
    __m256i dot = dot_parts(w, x->q + at * PG_BLOCK, bits, parts, &s);
    if (parts == PG_PARTS_ZERO) dot = _mm256_sub_epi32(dot, _mm256_madd_epi16(zeros, half_sums(x, at)));
    acc[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), _mm256_mul_ps(d, xd), acc[t]);
    if (parts == PG_PARTS_MIN) {
      acc[t] = _mm256_fmadd_ps(min, _mm256_set1_ps(x->s[at]), acc[t]);
    } else if (parts == PG_PARTS_MINS) {
      __m256 sum = _mm256_cvtepi32_ps(_mm256_madd_epi16(s.min, half_sums(x, at)));
      acc[t] = _mm256_fmadd_ps(sum, _mm256_mul_ps(m, xd), acc[t]);
    }
  }
}

PG_INLINE void parts_octets(float *restrict y, size_t ldy, const pg_matrix *restrict w, size_t lo, size_t hi, const pg_tile *restrict xt,
                      int bits, int parts, int tokens) {
  const pg_tile x = *xt;
  const size_t bytes = pg_block_bytes(bits), groups = w->groups;
  const uint8_t *codes = w->codes + lo * pg_octet_bytes(w), *part = w->part_bytes + lo * pg_octet_parts(w);
  const uint8_t *scales = w->scales + lo * groups * PG_OCTET * 2, *mins = w->offsets + lo * groups * PG_OCTET * 2;
  const __m256i zero = _mm256_set1_epi16((short)w->zero);
  for (size_t o = lo; o < hi; o++, y += PG_OCTET) {
    __m256 acc[PG_TILE];
    for (int t = 0; t < tokens; t++) acc[t] = _mm256_setzero_ps();
    for (size_t b = 0; b < groups * PG_SUPER; scales += 2 * PG_OCTET, mins += 2 * PG_OCTET) {
      __m256 d = pg_load8(scales, PG_F16), m = parts == PG_PARTS_ZERO ? _mm256_setzero_ps() : pg_load8(mins, PG_F16);
      for (size_t end = b + PG_SUPER; b < end; b++, codes += bytes, part += PG_PARTS_BYTES) {
        for (size_t i = 0; i < bytes; i += 64) _mm_prefetch((const char *)codes + PG_PREFETCH + i, _MM_HINT_T0);
        block_parts(acc, codes, part, bits, parts, tokens, &x, b, d, m, zero);
      }
    }
    for (int t = 0; t < tokens; t++) _mm256_storeu_ps(y + (size_t)t * ldy, acc[t]);
  }
}

#define PARTS_CASE(bits, parts, tokens) \
  case (bits)*8 + (tokens): \
    parts_octets(y, ldy, w, lo, hi, x, bits, parts, tokens); \
    return
#define PARTS_CASES(bits, parts) \
  PARTS_CASE(bits, parts, 1); \
  PARTS_CASE(bits, parts, 2); \
  PARTS_CASE(bits, parts, 3); \
  PARTS_CASE(bits, parts, 4)

// The width says which parts there are: see pg_parts.
void PG_MUL_PARTS(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x) {
  switch (w->bits * 8 + (int)x->tokens) {
    PARTS_CASES(2, PG_PARTS_MINS);
    PARTS_CASES(3, PG_PARTS_ZERO);
    PARTS_CASES(4, PG_PARTS_MIN);
    PARTS_CASES(5, PG_PARTS_MIN);
    PARTS_CASES(6, PG_PARTS_ZERO);
  }
}
