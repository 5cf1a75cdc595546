// The integer products of a block, over what a file that includes this defines:
//
//   first_step(codes, x)     a unit's products with an activation, in the set's own form, for eight rows
//   step(sum, codes, x)      the same, added to a sum
//   whole(sum)               such a sum as 32-bit integers
//   scaled(sum, pairs)       the same times a 16-bit integer for each row, which stands in both halves of its 32 bits
//   span(bits)               units whose products one sum can hold: 1, 2, 4 or 8
//
// A whole tile of tokens takes two octets together: an activation that is broadcast once serves sixteen rows, and the sums fill half of
// 16 registers. Fewer tokens wait for memory, which gives more to one stream than to two.
//
// Integers are added in the order that is written here, by empty asm: gcc would otherwise keep all products of a block until its end, in
// memory, to add them as a tree.

enum { PAIR = 2 }; // octets

// stream is how far an octet has been read, as one of n.
typedef struct stream {
  const uint8_t *codes, *scales, *offsets, *parts;
  size_t left; // blocks
  size_t skip; // bytes from its end to the next octet of this stream
} stream;

PG_INLINE stream stream_at(const pg_matrix *w, size_t o, int n) {
  const size_t side = o * w->groups * PG_OCTET;
  return (stream){
      .codes = w->codes + o * pg_octet_bytes(w),
      .scales = w->scales + side * pg_type_size(w->type),
      .offsets = w->offsets + side * pg_offset_size(w),
      .parts = w->parts ? w->part_bytes + o * pg_octet_parts(w) : NULL,
      .left = w->padded / PG_BLOCK,
      .skip = (size_t)(n - 1) * pg_octet_bytes(w),
  };
}

// Asks for what comes PG_PREFETCH bytes later, and goes on to the next block.
PG_INLINE void advance(stream *p, int bits, int n) {
  const size_t bytes = pg_block_bytes(bits), blocks = PG_PREFETCH / (size_t)n / bytes;
  const char *later = (const char *)p->codes + blocks * bytes + (blocks < p->left ? 0 : p->skip);
  for (size_t i = 0; i < bytes; i += 64) _mm_prefetch(later + i, _MM_HINT_T0);
  p->codes += bytes;
  p->left--;
}

// The dot products of the next block of n octets with some tokens, both constants; with parts times their integer scales. Signed codes (8
// bits) take |w| * (x with w's sign).
PG_INLINE void dots(__m256i dot[PG_TILE][PAIR], stream p[PAIR], const int8_t *x, int bits, int parts, int tokens, int n) {
  const int halves = parts != PG_PARTS_NONE && parts != PG_PARTS_MIN, run = halves && span(bits) > 4 ? 4 : span(bits);
  __m256i sum[PG_TILE][PAIR];
#pragma GCC unroll 8
  for (int u = 0; u < 8; u++) {
    __m256i w[PAIR], size[PAIR];
    for (int o = 0; o < n; o++) {
      const uint8_t *at = p[o].codes;
      __asm__("" : "+r"(at)); // else what two units share would be kept too
      w[o] = pg_unit_of(at, bits, u);
      size[o] = bits == 8 ? _mm256_abs_epi8(w[o]) : w[o];
    }
    for (int t = 0; t < tokens; t++) {
      const __m256i a = pg_unit(x + PG_BLOCK * t, u);
      for (int o = 0; o < n; o++) {
        const __m256i v = bits == 8 ? _mm256_sign_epi8(a, w[o]) : a;
        sum[t][o] = u % run ? step(sum[t][o], size[o], v) : first_step(size[o], v);
      }
    }
    if ((u + 1) % run) continue;
    __m256i pairs[PAIR];
    for (int o = 0; o < n && parts; o++) {
      const pg_parts8 s = pg_load_parts(p[o].parts, parts);
      pairs[o] = u < 4 ? s.first : s.last;
    }
    for (int t = 0; t < tokens; t++) {
      for (int o = 0; o < n; o++) {
        const __m256i all = parts ? scaled(sum[t][o], pairs[o]) : whole(sum[t][o]);
        dot[t][o] = u < run ? all : _mm256_add_epi32(dot[t][o], all);
        __asm__("" : "+x"(dot[t][o]));
      }
    }
  }
  for (int o = 0; o < n; o++) advance(&p[o], bits, n);
}
