// AMX: products of any weights and bfloat16 activations for many rows.
//
// Weights are dequantised to bfloat16, so that a tile of sums takes all of K without their scales: of integer products one in 32 features
// has to be scaled, which takes four times as long as the product (amx.h). Four tiles of sums are 32 rows of activations by four octets. A
// strip of weights is dequantised once for all rows.
//
// A tile of activations is [16 rows][32 features], one of weights [16 pairs of features][16 rows of two octets][2].
#include "amx.h"

#if defined(__x86_64__)
PG_TARGET_BEGIN("avx2,fma,f16c,avx512f,avx512vl,avx512bw,avx512vnni,avx512bf16,amx-tile,amx-int8,amx-bf16")

enum {
  STRIP = 16,                      // blocks that are dequantised ahead
  LINE = 64,                       // bytes of a tile's row
  TILE = PG_BF16_TILE * PG_BLOCK,  // elements of a tile
  COLUMNS = 2 * PG_OCTET,          // of a tile of sums
};

typedef uint16_t strip[STRIP][TILE]; // of two octets

static void configure_bf16(void) {
  tile_config c = {.palette = 1};
  for (int i = 0; i < 8; i++) c.row_bytes[i] = LINE, c.rows[i] = PG_BF16_TILE;
  __asm__ volatile("" ::: "memory");
  _tile_loadconfig(&c);
}

// The features 2p and 2p+1 of 16 rows, side by side.
PG_INLINE void store_pair(uint16_t *to, __m512 even, __m512 odd) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3,
                                         18, 2, 17, 1, 16, 0);
  _mm512_store_si512(to, _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(odd, even)));
}

// What the weights of a block are made of: scale * code + min, for its first and its last 16 features.
typedef struct sides {
  __m512 scale[2], min[2];
} sides;

// Those of block b, in group *g if that begins there, else in the one before. group: its scale and min, which a K-quant's blocks multiply.
PG_INLINE void next_sides(sides *s, sides *group, const pg_matrix *w, pair *p, size_t b, size_t *g) {
  while (b == w->group_start[*g]) next_group(w, p, &group->scale[0], &group->min[0]), ++*g;
  for (int half = 0; half < 2; half++) s->scale[half] = group->scale[0], s->min[half] = group->min[0];
  if (!w->parts) return;
  __m512i v = next_parts(p, w->parts == PG_PARTS_ZERO);
  for (int half = 0; half < 2; half++) {
    __m512i one = half ? _mm512_srai_epi32(v, 16) : _mm512_srai_epi32(_mm512_slli_epi32(v, 16), 16), min = one;
    if (w->parts == PG_PARTS_MIN) {
      one = _mm512_and_si512(v, _mm512_set1_epi32(0xffff));
      min = _mm512_srli_epi32(v, 16);
    } else if (w->parts == PG_PARTS_MINS) {
      min = _mm512_srli_epi32(one, 4);
      one = _mm512_and_si512(one, _mm512_set1_epi32(15));
    }
    s->scale[half] = _mm512_mul_ps(s->scale[half], _mm512_cvtepi32_ps(one));
    s->min[half] = _mm512_mul_ps(s->min[half], _mm512_cvtepi32_ps(min));
  }
}

// Dequantises the next block of two octets.
PG_INLINE void block_bf16(uint16_t *to, pair *p, const sides *s, int bits) {
  const size_t bytes = pg_block_bytes(bits);
  for (int u = 0; u < PG_BLOCK / PG_UNIT; u++, to += 2 * LINE / sizeof *to) {
    __m512i v = _mm512_inserti64x4(_mm512_castsi256_si512(pg_unit_of(p->codes[0], bits, u)), pg_unit_of(p->codes[1], bits, u), 1);
    const __m512 scale = s->scale[u / 4], min = s->min[u / 4];
    __m512 f[PG_UNIT];
    for (int j = 0; j < PG_UNIT; j++) {
      __m512i q = bits == 8 ? _mm512_srai_epi32(_mm512_slli_epi32(v, 24 - 8 * j), 24)
                            : _mm512_and_si512(_mm512_srli_epi32(v, 8 * j), _mm512_set1_epi32(255));
      f[j] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(q), scale, min);
    }
    store_pair(to, f[0], f[1]);
    store_pair(to + LINE / sizeof *to, f[2], f[3]);
  }
  for (int i = 0; i < 2; i++) {
    for (size_t at = 0; at < bytes; at += 64) _mm_prefetch((const char *)p->codes[i] + PG_PREFETCH + at, _MM_HINT_T0);
    p->codes[i] += bytes;
  }
}

// Dequantises n blocks of two octets, from block `from` on.
PG_INLINE void blocks_bf16(strip to, const pg_matrix *w, pair *p, sides *group, size_t from, size_t n, size_t *g, int bits) {
  for (size_t b = 0; b < n; b++) {
    sides s;
    next_sides(&s, group, w, p, from + b, g);
    block_bf16(to[b], p, &s, bits);
  }
}

// The same for dense weights: n features, rounded up to blocks with zeros.
PG_INLINE void dense_bf16(strip to, pair *p, size_t n, int type) {
  const size_t step = PG_OCTET * pg_type_size(type);
  for (size_t k = 0; k < (n + PG_BLOCK - 1) / PG_BLOCK * PG_BLOCK; k += 2) {
    __m512 f[2];
    for (size_t j = 0; j < 2; j++) {
      f[j] = _mm512_setzero_ps();
      if (k + j >= n) continue;
      f[j] = join(pg_load8(p->codes[0], type), pg_load8(p->codes[1], type));
      for (int i = 0; i < 2; i++) p->codes[i] += step;
    }
    store_pair(to[k / PG_BLOCK] + k % PG_BLOCK * COLUMNS, f[0], f[1]);
  }
}

static void fill(strip to, const pg_matrix *w, pair *p, sides *group, size_t from, size_t n, size_t *g) {
  const size_t features = w->padded - from * PG_BLOCK < n * PG_BLOCK ? w->padded - from * PG_BLOCK : n * PG_BLOCK;
  switch (w->bits) {
  case 2:
    blocks_bf16(to, w, p, group, from, n, g, 2);
    break;
  case 3:
    blocks_bf16(to, w, p, group, from, n, g, 3);
    break;
  case 4:
    blocks_bf16(to, w, p, group, from, n, g, 4);
    break;
  case 5:
    blocks_bf16(to, w, p, group, from, n, g, 5);
    break;
  case 6:
    blocks_bf16(to, w, p, group, from, n, g, 6);
    break;
  case 8:
    blocks_bf16(to, w, p, group, from, n, g, 8);
    break;
  default:
    if (w->type == PG_BF16) {
      dense_bf16(to, p, features, PG_BF16);
    } else if (w->type == PG_F16) {
      dense_bf16(to, p, features, PG_F16);
    } else {
      dense_bf16(to, p, features, PG_F32);
    }
  }
}

// c[2 tiles of rows][2 tiles of columns] += n blocks of a and of w; begin: = these. ld: floats between rows of c. next, apart: elements
// between tiles of a, of w.
PG_INLINE void product(float *c[2], const size_t ld[2], const uint16_t *a, size_t next, const uint16_t *w, size_t apart, size_t n,
                       int begin, int tiles, int pairs) {
  float *below[2] = {c[0] + PG_BF16_TILE * ld[0], pairs == 2 ? c[1] + PG_BF16_TILE * ld[1] : NULL};
  const size_t bytes[2] = {ld[0] * sizeof(float), ld[1] * sizeof(float)};
  __asm__ volatile("" ::: "memory"); // headers do not tell the compiler all that tile instructions read
  if (begin) {
    _tile_zero(0);
    if (pairs == 2) _tile_zero(1);
    if (tiles == 2) _tile_zero(2);
    if (tiles == 2 && pairs == 2) _tile_zero(3);
  } else {
    _tile_loadd(0, c[0], bytes[0]);
    if (pairs == 2) _tile_loadd(1, c[1], bytes[1]);
    if (tiles == 2) _tile_loadd(2, below[0], bytes[0]);
    if (tiles == 2 && pairs == 2) _tile_loadd(3, below[1], bytes[1]);
  }
  for (size_t b = 0; b < n; b++, a += TILE, w += TILE) {
    _tile_loadd(4, a, LINE);
    _tile_loadd(6, w, LINE);
    _tile_dpbf16ps(0, 4, 6);
    if (pairs == 2) {
      _tile_loadd(7, w + apart, LINE);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (tiles == 2) {
      _tile_loadd(5, a + next, LINE);
      _tile_dpbf16ps(2, 5, 6);
      if (pairs == 2) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c[0], bytes[0]);
  if (pairs == 2) _tile_stored(1, c[1], bytes[1]);
  if (tiles == 2) _tile_stored(2, below[0], bytes[0]);
  if (tiles == 2 && pairs == 2) _tile_stored(3, below[1], bytes[1]);
  __asm__ volatile("" ::: "memory");
}

// One or two pairs of octets from o on, which are all of lo..hi that are left if the last one is odd: its sums go to odd[tiles * 16][16].
PG_INLINE void octets(float *y, size_t ldy, const pg_matrix *w, size_t o, size_t hi, const uint16_t *x, size_t tiles, float *odd,
                      int pairs) {
  _Alignas(64) strip weights[2];
  const size_t blocks = (w->padded + PG_BLOCK - 1) / PG_BLOCK;
  pair p[2];
  sides group[2];
  size_t g[2] = {0, 0};
  float *c[2] = {y, y + COLUMNS};
  size_t ld[2] = {ldy, ldy};
  for (int i = 0; i < pairs; i++) {
    p[i] = pair_at(w, o + 2 * (size_t)i, hi);
    if (o + 2 * (size_t)i + 1 == hi) c[i] = odd, ld[i] = COLUMNS;
  }
  for (size_t from = 0; from < blocks; from += STRIP) {
    const size_t n = blocks - from < STRIP ? blocks - from : STRIP;
    for (int i = 0; i < pairs; i++) fill(weights[i], w, &p[i], &group[i], from, n, &g[i]);
    for (size_t t = 0; t < tiles; t += 2) {
      float *at[2] = {c[0] + t * PG_BF16_TILE * ld[0], c[1] + t * PG_BF16_TILE * ld[1]};
      const uint16_t *a = x + (t * blocks + from) * TILE;
      if (t + 1 < tiles)
        product(at, ld, a, blocks * TILE, weights[0][0], STRIP * TILE, n, from == 0, 2, pairs);
      else
        product(at, ld, a, blocks * TILE, weights[0][0], STRIP * TILE, n, from == 0, 1, pairs);
    }
  }
}

void pg_amx_mul_bf16(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const uint16_t *x, size_t rows) {
  _Alignas(64) float odd[PG_BF16_MOST * COLUMNS];
  const size_t tiles = (rows + PG_BF16_TILE - 1) / PG_BF16_TILE;
  configure_bf16();
  for (size_t o = lo; o < hi; o += PG_BF16_OCTETS) {
    float *to = y + (o - lo) * PG_OCTET;
    if (hi - o > 2)
      octets(to, ldy, w, o, hi, x, tiles, odd, 2);
    else
      octets(to, ldy, w, o, hi, x, tiles, odd, 1);
  }
  _tile_release();
  if ((hi - lo) % 2 == 0) return;
  for (size_t t = 0; t < rows; t++) _mm256_storeu_ps(y + t * ldy + (hi - lo - 1) * PG_OCTET, _mm256_load_ps(odd + t * COLUMNS));
}

void pg_amx_to_bf16(uint16_t *to, const float *x, size_t n) {
  for (size_t k = 0; k < n; k += PG_BLOCK, to += TILE) {
    const size_t left = n - k, low = left < 16 ? left : 16, high = left < 16 ? 0 : left < 32 ? left - 16 : 16;
    __m512 a = _mm512_maskz_loadu_ps((__mmask16)((1u << low) - 1), x + k), b = _mm512_maskz_loadu_ps((__mmask16)((1u << high) - 1), x + k + 16);
    _mm512_store_si512(to, (__m512i)_mm512_cvtne2ps_pbh(b, a));
  }
}

// 16 elements of a type as float32.
PG_INLINE __m512 load16(const uint8_t *p, int type) { return join(pg_load8(p, type), pg_load8(p + PG_OCTET * pg_type_size(type), type)); }

PG_INLINE void keys_bf16(uint16_t *to, const uint8_t *k, int type, size_t keys, size_t d) {
  const size_t size = PG_OCTET * pg_type_size(type);
  for (size_t j = 0; j < keys; j += COLUMNS, k += 2 * d * size)
    for (size_t i = 0; i < d; i += 2, to += 2 * COLUMNS)
      store_pair(to, join(pg_load8(k + i * size, type), pg_load8(k + (d + i) * size, type)),
                 join(pg_load8(k + (i + 1) * size, type), pg_load8(k + (d + i + 1) * size, type)));
}

PG_INLINE void values_bf16(uint16_t *to, const uint8_t *v, int type, size_t keys, size_t d) {
  const size_t size = pg_type_size(type), whole = (keys + PG_BLOCK - 1) / PG_BLOCK * PG_BLOCK;
  const __m512 zero = _mm512_setzero_ps();
  for (size_t i = 0; i < d; i += COLUMNS)
    for (size_t j = 0; j < whole; j += 2, to += 2 * COLUMNS)
      store_pair(to, j < keys ? load16(v + (j * d + i) * size, type) : zero, j + 1 < keys ? load16(v + ((j + 1) * d + i) * size, type) : zero);
}

void pg_amx_keys_bf16(uint16_t *to, const uint8_t *k, int type, size_t keys, size_t d) {
  keys = (keys + PG_BLOCK - 1) / PG_BLOCK * PG_BLOCK;
  if (type == PG_F16)
    keys_bf16(to, k, PG_F16, keys, d);
  else
    keys_bf16(to, k, PG_F32, keys, d);
}

void pg_amx_values_bf16(uint16_t *to, const uint8_t *v, int type, size_t keys, size_t d) {
  if (type == PG_F16)
    values_bf16(to, v, PG_F16, keys, d);
  else
    values_bf16(to, v, PG_F32, keys, d);
}

void pg_amx_tiles_bf16(float *c, size_t ldc, const uint16_t *a, size_t tiles, const uint16_t *w, size_t columns, size_t blocks) {
  const size_t ld[2] = {ldc, ldc}, line = blocks * TILE;
  configure_bf16();
  for (size_t t = 0; t < tiles; t += 2)
    for (size_t o = 0; o < columns; o += 2) {
      float *at[2] = {c + t * PG_BF16_TILE * ldc + o * COLUMNS, c + t * PG_BF16_TILE * ldc + (o + 1) * COLUMNS};
      if (t + 1 < tiles)
        product(at, ld, a + t * line, line, w + o * line, line, blocks, 1, 2, 2);
      else
        product(at, ld, a + t * line, line, w + o * line, line, blocks, 1, 1, 2);
    }
  _tile_release();
}

PG_TARGET_END
#endif
