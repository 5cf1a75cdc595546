// What the AMX files share.
//
// A tile of sums holds 16 tokens × 16 rows of two octets. One instruction adds a block's 32 features: activations stand as
// [tokens][32] already, and the units of the two octets side by side are the other factor, [8][16 rows][4]. The sums of a block are
// integers and what follows, in amx_int.c and amx_parts.c, are the operations of int8_octets.h and int8_parts.h in their order, so that the bits are those of the
// other sets.
//
// The product itself takes 16 cycles; to add its 256 sums under their scales takes 60, which is what bounds this set.
#ifndef PEREGRINE_AMX_H
#define PEREGRINE_AMX_H

#include "avx2.h"

#if defined(__x86_64__)
#define PG_AMX_BEGIN PG_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512vl,avx512bw,avx512vnni,amx-tile,amx-int8")
#define PG_AMX_END PG_TARGET_END
PG_AMX_BEGIN

enum {
  MANY = 16,                    // tokens of a full tile
  TILES = 4,                    // of them for which weights are unpacked once
  PANEL = 32,                   // blocks that are unpacked ahead: tiles are loaded from the cache, not from stores under way
  ROW = 2 * PG_OCTET * PG_UNIT, // bytes of a unit of two octets, a row of a tile
};

// What ldtilecfg reads.
typedef struct tile_config {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_config;

// Registers come in two sets, so that one product can begin while the other runs: 0, 1 sums; 2, 3 so many tokens; 4, 5 weights, with
// so many features a product.
static inline void configure(int tokens, int features) {
  tile_config c = {.palette = 1};
  for (int i = 0; i < 2; i++) {
    c.row_bytes[i] = ROW, c.rows[i] = (uint8_t)tokens;
    c.row_bytes[2 + i] = (uint16_t)features, c.rows[2 + i] = (uint8_t)tokens;
    c.row_bytes[4 + i] = ROW, c.rows[4 + i] = (uint8_t)(features / PG_UNIT);
  }
  __asm__ volatile("" ::: "memory"); // headers do not tell the compiler all that tile instructions read
  _tile_loadconfig(&c);
}

// The two octets that are multiplied at once, at their next block. An odd last octet stands for both.
typedef struct pair {
  const uint8_t *codes[2], *scales[2], *offsets[2], *parts[2];
} pair;

static inline pair pair_at(const pg_matrix *w, size_t o, size_t hi) {
  pair p;
  const size_t size = pg_type_size(w->type);
  for (size_t i = 0; i < 2; i++) {
    size_t at = o + i < hi ? o + i : o;
    p.codes[i] = w->codes + at * pg_octet_bytes(w);
    p.scales[i] = w->scales + at * w->groups * PG_OCTET * size;
    p.offsets[i] = w->offsets + at * w->groups * PG_OCTET * pg_offset_size(w);
    p.parts[i] = w->parts ? w->part_bytes + at * pg_octet_parts(w) : NULL;
  }
  return p;
}

PG_INLINE __m512 join(__m256 a, __m256 b) {
  return _mm512_castpd_ps(_mm512_insertf64x4(_mm512_castps_pd(_mm512_castps256_ps512(a)), _mm256_castps_pd(b), 1));
}

// The next group's scale and min.
static inline void next_group(const pg_matrix *w, pair *p, __m512 *scale, __m512 *min) {
  const size_t step = PG_OCTET * pg_type_size(w->type), offsets = PG_OCTET * pg_offset_size(w);
  __m512 d = join(pg_load8(p->scales[0], w->type), pg_load8(p->scales[1], w->type));
  if (w->offset == PG_OFFSET_MIN) {
    *min = join(pg_load8(p->offsets[0], PG_F16), pg_load8(p->offsets[1], PG_F16));
  } else if (w->offset == PG_OFFSET_ZEROS) {
    *min = _mm512_mul_ps(d, _mm512_sub_ps(_mm512_setzero_ps(), join(pg_zeros8(p->offsets[0]), pg_zeros8(p->offsets[1]))));
  } else {
    *min = _mm512_mul_ps(d, _mm512_set1_ps(-(float)w->zero));
  }
  *scale = d;
  for (int i = 0; i < 2; i++) p->scales[i] += step, p->offsets[i] += offsets;
}

// The next block's integers of a K-quant, 16-bit pairs of a row.
PG_INLINE __m512i next_parts(pair *p, int is_signed) {
  __m128i a = _mm_load_si128((const __m128i *)p->parts[0]), b = _mm_load_si128((const __m128i *)p->parts[1]);
  __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(a), b, 1);
  for (int i = 0; i < 2; i++) p->parts[i] += PG_PARTS_BYTES;
  return is_signed ? _mm512_cvtepi8_epi16(both) : _mm512_cvtepu8_epi16(both);
}

// The next block's units, side by side, less a zero point that is a constant 0 for codes which stay unsigned.
PG_INLINE void unpack(uint8_t *to, pair *p, int bits, int zero) {
  const size_t bytes = pg_block_bytes(bits);
  for (int i = 0; i < 2; i++) {
    __m256i w[8];
    if (bits == 8) {
      for (int u = 0; u < 8; u++) w[u] = _mm256_load_si256((const __m256i *)p->codes[i] + u);
    } else {
      pg_unpack8(w, p->codes[i], bits);
    }
    for (size_t at = 0; at < bytes; at += 64) _mm_prefetch((const char *)p->codes[i] + PG_PREFETCH + at, _MM_HINT_T0);
    for (int u = 0; u < 8 && zero; u++) w[u] = _mm256_sub_epi8(w[u], _mm256_set1_epi8((char)zero));
    for (int u = 0; u < 8; u++) _mm256_store_si256((__m256i *)(to + u * ROW + i * ROW / 2), w[u]);
    p->codes[i] += bytes;
  }
}

// The sums of one block's products, or of its half's. sum, tokens, weights: registers.
#define PRODUCT(sum, tokens, weights, to, w, x, is_signed) \
  do { \
    __asm__ volatile("" ::: "memory"); \
    _tile_zero(sum); \
    _tile_loadd(tokens, x, PG_BLOCK); \
    _tile_loadd(weights, w, ROW); \
    if (is_signed) \
      _tile_dpbssd(sum, tokens, weights); \
    else \
      _tile_dpbsud(sum, tokens, weights); \
    _tile_stored(sum, to, ROW); \
  } while (0)

// The accumulators of so many tokens, one octet's or both octets'.
static inline void write(float *y, size_t ldy, const __m512 *acc, int tokens, int both) {
  for (int t = 0; t < tokens; t++, y += ldy) {
    _mm256_storeu_ps(y, _mm512_castps512_ps256(acc[t]));
    if (both) _mm256_storeu_ps(y + PG_OCTET, _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(acc[t]), 1)));
  }
}

// amx_parts.c: octets lo..hi of a K-quant, for x->tokens / tokens tiles of 16 or 8 tokens.
void pg_amx_mul_parts(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x, size_t tokens);

PG_AMX_END
#endif
#endif
