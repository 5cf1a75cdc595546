// Products of K-quants and int8 activations, over int8_dots.h and the name PG_MUL_PARTS of the whole.
//
// What is the same for a run of features, a zero point or a minimum, takes the integer sums of the activations' halves.

PG_INLINE __m256i half_sums(const pg_tile *x, size_t at) {
  int v;
  __builtin_memcpy(&v, x->h + 2 * at, 4);
  return _mm256_set1_epi32(v);
}

// One block of n octets for all tokens. d, m: scale and negated minimum of the group; zero: of PG_PARTS_ZERO.
PG_INLINE void block_parts(__m256 acc[PG_TILE][PAIR], stream p[PAIR], int bits, int parts, int tokens, int n, const pg_tile *x, size_t b,
                           const __m256 d[PAIR], const __m256 m[PAIR], __m256i zero) {
  __m256i dot[PG_TILE][PAIR], zeros[PAIR];
  __m256 min[PAIR];
  pg_parts8 s[PAIR];
  dots(dot, p, x->q + b * x->stride * PG_BLOCK, bits, parts, tokens, n);
  for (int o = 0; o < n; o++) {
    s[o] = pg_load_parts(p[o].parts, parts);
    zeros[o] = _mm256_mullo_epi16(s[o].pair, zero);
    min[o] = _mm256_mul_ps(m[o], _mm256_cvtepi32_ps(s[o].min));
    p[o].parts += PG_PARTS_BYTES;
  }
  for (int t = 0; t < tokens; t++) {
    const size_t at = b * x->stride + (size_t)t;
    const __m256 xd = _mm256_set1_ps(x->d[at]);
    for (int o = 0; o < n; o++) {
      __m256i whole = dot[t][o];
      if (parts == PG_PARTS_ZERO) whole = _mm256_sub_epi32(whole, _mm256_madd_epi16(zeros[o], half_sums(x, at)));
      acc[t][o] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole), _mm256_mul_ps(d[o], xd), acc[t][o]);
      if (parts == PG_PARTS_MIN) {
        acc[t][o] = _mm256_fmadd_ps(min[o], _mm256_set1_ps(x->s[at]), acc[t][o]);
      } else if (parts == PG_PARTS_MINS) {
        const __m256 sum = _mm256_cvtepi32_ps(_mm256_madd_epi16(s[o].min, half_sums(x, at)));
        acc[t][o] = _mm256_fmadd_ps(sum, _mm256_mul_ps(m[o], xd), acc[t][o]);
      }
    }
  }
}

// Octets o..o+n; n, a constant, is 1 or 2.
PG_INLINE void some_parts(float *restrict y, size_t ldy, const pg_matrix *restrict w, size_t o, const pg_tile *restrict xt, int bits,
                          int parts, int tokens, int n) {
  const pg_tile x = *xt;
  const __m256i zero = _mm256_set1_epi16((short)w->zero);
  stream p[PAIR];
  __m256 acc[PG_TILE][PAIR], d[PAIR], m[PAIR];
  for (int i = 0; i < n; i++) {
    p[i] = stream_at(w, o + (size_t)i, n);
    for (int t = 0; t < tokens; t++) acc[t][i] = _mm256_setzero_ps();
  }
  for (size_t b = 0; b < w->groups * PG_SUPER;) {
    for (int i = 0; i < n; i++) {
      d[i] = pg_load8(p[i].scales, PG_F16);
      m[i] = parts == PG_PARTS_ZERO ? _mm256_setzero_ps() : pg_load8(p[i].offsets, PG_F16);
      p[i].scales += 2 * PG_OCTET;
      p[i].offsets += 2 * PG_OCTET;
    }
    for (size_t end = b + PG_SUPER; b < end; b++) {
      if (n == PAIR) __asm__ volatile("" : : "r"(acc) : "memory"); // as in int8_octets.h
      block_parts(acc, p, bits, parts, tokens, n, &x, b, d, m, zero);
    }
  }
  for (int t = 0; t < tokens; t++)
    for (int i = 0; i < n; i++) _mm256_storeu_ps(y + (size_t)t * ldy + PG_OCTET * i, acc[t][i]);
}

PG_INLINE void parts_octets(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x, int bits, int parts,
                            int tokens) {
  size_t o = lo;
  for (; tokens == PG_TILE && o + PAIR <= hi; o += PAIR) some_parts(y + (o - lo) * PG_OCTET, ldy, w, o, x, bits, parts, tokens, PAIR);
  for (; o < hi; o++) some_parts(y + (o - lo) * PG_OCTET, ldy, w, o, x, bits, parts, tokens, 1);
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
