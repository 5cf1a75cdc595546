// The kernels that an instruction set must bring, as one struct of functions. A file per instruction set fills it; everything
// else in the package is plain C on top. Which sets exist, and how a new one is added: README.md, "Kernels".
//
// Two rules make results independent of the number of threads and of how a prompt is cut (into passes on one side of PG_BF16_ROWS):
//   - one output element is computed by one call, summed in an order that depends on K alone, never on how many tokens or rows
//     are computed with it;
//   - a kernel may not read what lies beyond the sizes that it is given (weights may be prefetched beyond).
#ifndef PEREGRINE_ISA_H
#define PEREGRINE_ISA_H

#include "layout.h"

// Compilers that know NEON's dot and matrix products as targets of a function; of clang, those from 16 on.
#if defined(__aarch64__) && (!defined(__clang__) || __clang_major__ >= 16)
#define PG_NEON
#endif

enum {
  PG_TILE = 4,      // tokens that most sets' mul_int takes
  PG_VECTORS = 8,   // the most query vectors that one attention call takes
  PG_SEGMENT = 256, // keys that one softmax segment holds
  PG_CHUNK_K = 128, // features that mul_float decodes at a time
  PG_FLOAT_OCTETS = 3, // octets that mul_float decodes at a time
  PG_COLUMNS = 64, // features whose weights add_outliers keeps
  PG_COLUMN_OCTETS = 6, // of so many octets
  PG_BF16_ROWS = 32,   // passes of so many tokens take mul_bf16, where a set has it: more than one of speculation has
  PG_BF16_MOST = 256,  // rows that one call of mul_bf16 takes
  PG_BF16_OCTETS = 4,  // that it multiplies at once, and `octets` of such a set: blocks of 32 outputs begin where an item or a window does
  PG_BF16_TILE = 16,   // of them stand together in memory
};

// pg_tile is some rows of activations as int8, one scale per block and row. A row is a token, or one of the two of a fine token
// (forward.h, pg_job); below, tokens are such rows.
typedef struct pg_tile {
  const int8_t *q; // [blocks][stride][32], -127..127
  const float *d;  // [blocks][stride], x = d * q
  const float *s;  // [blocks][stride], d * sum(q)
  const int16_t *h; // [blocks][stride][2], sums of the first and the last 16 q
  size_t tokens;   // 1..tile of the set
  size_t stride;   // tokens that stand together in memory, of which these are the first
} pg_tile;

// pg_outlier is a feature of an input that is not rounded to int8. Its code in a tile is 0.
typedef struct pg_outlier {
  float x; // 0: behind the last one
  uint32_t feature;
} pg_outlier;

// pg_peak is what quantise found in some blocks.
typedef struct pg_peak {
  float gain;     // a block's greatest square less its second greatest, where that is largest
  float squares;  // the greatest squares of the blocks, summed; NaN if an element is NaN or infinite
  uint32_t block; // where gain is
} pg_peak;

// pg_add_block adds a block to a peak. poison is NaN for a block with NaN or infinity.
static inline void pg_add_block(pg_peak *p, size_t block, float greatest, float second, float poison) {
  const float gain = (greatest - second) * (greatest + second);
  p->squares += greatest * greatest + poison;
  if (!(gain > p->gain)) return;
  p->gain = gain;
  p->block = (uint32_t)block;
}

typedef struct pg_isa {
  const char *name;
  int untried;    // no machine has run this set, an emulator at most: it is never chosen unless named
  size_t tile;    // the most tokens that mul_int takes, an even number
  size_t octets;  // that one call should have a multiple of: fewer take as long in mul_int or, if there is one, in mul_bf16
  size_t vectors; // the most query vectors that scores and weigh take, up to PG_VECTORS

  // quantise turns x[blocks * 32] into one token of a tile: q, d, s and h advance by 32*stride, stride, stride and 2*stride per
  // block. A block that holds NaN or infinity gets a NaN scale. peak: of all the blocks; NULL: unwanted.
  void (*quantise)(int8_t *q, float *d, float *s, int16_t *h, const float *x, size_t blocks, size_t stride, pg_peak *peak);

  // y[tokens][ldy] = x . W^T, outliers left out, for octets lo..hi of a quantised W; column 0 of y is row 8*lo. All columns of the last
  // octet are written, also those beyond W's rows (as zeros).
  void (*mul_int)(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_tile *x);

  // add_outliers adds what mul_int left out of y[tokens][ldy], in float32, in the order of outliers[tokens][stride]. room holds
  // PG_COLUMNS * PG_COLUMN_OCTETS * 8 floats.
  void (*add_outliers)(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const pg_outlier *outliers, size_t stride,
                       size_t tokens, float *room);

  // y = x . W^T with float32 activations x[m][ldx] and any W, dequantised on the fly. scratch holds
  // PG_FLOAT_OCTETS * PG_CHUNK_K * 8 floats.
  void (*mul_float)(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const float *x, size_t ldx, size_t m,
                    float *scratch);

  // Products of many rows with weights and activations rounded to bfloat16. NULL: the set has none.
  // to_bf16 turns x[n] into one row of whole blocks, with zeros behind: to advances by 32 * PG_BF16_TILE per block.
  void (*to_bf16)(uint16_t *to, const float *x, size_t n);
  // y[rows][ldy] = x . W^T as above, x[tiles][blocks][PG_BF16_TILE][32]. The last tile is whole, and y has room for its rows.
  void (*mul_bf16)(float *y, size_t ldy, const pg_matrix *w, size_t lo, size_t hi, const uint16_t *x, size_t rows);

  // For attention of many tokens, in the same sets. keys_bf16 turns the first keys of a segment, [PG_SEGMENT/8][d][8] of type, into
  // [keys / 16][d / 32] tiles of 16 features' pairs x 16 keys, and values_bf16 values, [PG_SEGMENT][d], into [d / 16][keys / 32] tiles of 16
  // keys' pairs x 16 features. keys is rounded up to 32, with zero values behind; d is a multiple of 32.
  void (*keys_bf16)(uint16_t *to, const uint8_t *k, int type, size_t keys, size_t d);
  void (*values_bf16)(uint16_t *to, const uint8_t *v, int type, size_t keys, size_t d);
  // c[tiles * PG_BF16_TILE][ldc] = a . w, a[tiles][blocks][PG_BF16_TILE][32], w[columns][blocks] such tiles: 16 * columns columns of c, an even number.
  void (*tiles_bf16)(float *c, size_t ldc, const uint16_t *a, size_t tiles, const uint16_t *w, size_t columns, size_t blocks);

  // y[n] = norm(x[n]) with weight w and bias b; b NULL: RMS norm, else layer norm.
  void (*norm)(float *y, const float *x, const float *w, const float *b, size_t n, float eps);
  void (*add)(float *y, const float *x, size_t n);     // y += x
  void (*gelu)(float *x, size_t n);                    // x = x/2 * (1 + erf(x / sqrt 2))
  void (*silu_mul)(float *g, const float *u, size_t n); // g = g / (1 + exp(-g)) * u
  void (*to_half)(uint16_t *h, const float *x, size_t n); // beyond the range: the largest half
  float (*max)(const float *x, size_t n);              // NaN elements are passed over
  float (*sum_exp)(float *x, float max, size_t n);     // x = exp(x - max), returns the sum; exp(-inf) is 0

  // Attention over one segment, keys 0..keys-1, for n <= vectors query vectors of d features.
  // s[v*PG_SEGMENT + j] = q_v . K_j, for j up to keys rounded up to 8. k: [PG_SEGMENT / 8][d][8] of type.
  void (*scores)(float *s, const float *const q[PG_VECTORS], size_t n, const uint8_t *k, int type, size_t keys, size_t d);
  // o_v[d] = sum_j p[v*PG_SEGMENT + j] V_j. v: [PG_SEGMENT][dv] of type, dv = d rounded up to 8; o_v holds dv.
  void (*weigh)(float *const o[PG_VECTORS], const float *p, size_t n, const uint8_t *v, int type, size_t keys, size_t dv);

  // read returns a value that depends on all of p[n], as fast as memory allows: the read bandwidth test.
  uint64_t (*read)(const uint8_t *p, size_t n);
} pg_isa;

// pg_isa_find returns the kernels of that name, or the best tried ones for "": NULL if this machine or this build lacks them.
const pg_isa *pg_isa_find(const char *name);
// pg_isa_at returns the i-th set that runs here, best first; NULL past the end.
const pg_isa *pg_isa_at(size_t i);
// pg_isa_tried returns the first set of a list like pg_isa_at's that is not untried.
const pg_isa *pg_isa_tried(const pg_isa *(*at)(size_t));

extern const pg_isa pg_isa_scalar;
#if defined(__x86_64__)
extern const pg_isa pg_isa_avx2;
extern const pg_isa pg_isa_avxvnni;
extern const pg_isa pg_isa_avx512vnni;
extern const pg_isa pg_isa_amx;
extern const pg_isa pg_isa_amxbf16;
#elif defined(PG_NEON)
extern const pg_isa pg_isa_neon;
extern const pg_isa pg_isa_neoni8mm;
#endif

#endif
