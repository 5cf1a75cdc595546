// The repacked weights: one layout for every format, made by pack.c and read by all kernels.
//
// A matrix W[N,K] is cut into octets of 8 output rows, and K into blocks of 32 input features. Quantised codes of one octet and
// one block stand together; the smallest unit is 8 rows x 4 features, one byte each when unpacked (row r, feature j of the unit
// at byte 4r+j), which is what vpmaddubsw, vpdpbusd and sdot accumulate into 8 (16, 4) 32-bit sums without a horizontal add.
// Eight units u = 0..7 make a block; feature k of a block belongs to unit k/4.
//
//   bits  bytes per octet and block, 32-byte vectors v
//   2     64   v0..v1: bits 2p..2p+1 = unit 4v+p
//   3     96   v0..v1 as for 2 bits (the low two bits of a code), then v2: bit u = the high bit of unit u
//   4     128  v0..v3: low nibble = unit v, high nibble = unit v+4 (eight rows of a Q4_0 block, word by word)
//   5     160  v0..v3 as for 4 bits (the low four bits of a code), then v4: bit u = the high bit of unit u
//   6     192  v0..v3 as for 4 bits, then v4..v5 as for 2 bits: the high two bits of a code
//   8     256  v0..v7: unit v, signed
//
// Scales and offsets stand beside, [octet][group][8]. A K-quant's group has 256 features, and within it each block has integer
// scales, and integer minima where the format has some: 16 bytes, two a row (pg_parts). Dense weights are [octet][K][8] elements.
// Rows beyond N are zero codes with zero scales.
#ifndef PEREGRINE_LAYOUT_H
#define PEREGRINE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

enum { PG_OCTET = 8, PG_BLOCK = 32, PG_UNIT = 4 };

// pg_type is an element type: of dense weights, of scales, and of the KV cache.
enum pg_type { PG_F32 = 0, PG_F16 = 1, PG_BF16 = 2 };

// pg_offset says what is added to scale*code.
enum pg_offset {
  PG_OFFSET_ZERO = 0,  // w = scale * (code - zero), the same zero everywhere
  PG_OFFSET_ZEROS = 1, // w = scale * (code - zeros[group][row])
  PG_OFFSET_MIN = 2,   // w = scale * code + mins[group][row], mins f16
};

// pg_parts says what the two bytes are that a row has for each block of a K-quant. s0, m0 belong to the block's first 16
// features, s1, m1 to its last; d and m are the group's scale and minimum.
enum pg_parts {
  PG_PARTS_NONE = 0,  // there are none
  PG_PARTS_MIN = 1,   // Q4_K, Q5_K: s, m of the whole block;       w = d*s*code + m*min
  PG_PARTS_MINS = 2,  // Q2_K: s0 | m0 << 4, s1 | m1 << 4;           w = d*s*code + m*min
  PG_PARTS_ZERO = 3,  // Q3_K, Q6_K: s0, s1 signed;                  w = d*s*(code - zero)
};
enum { PG_PARTS_BYTES = 2 * PG_OCTET, PG_SUPER = 256 / PG_BLOCK };

// pg_matrix is one repacked matrix. Its memory belongs to the model's two arenas, that of a window to a thread.
typedef struct pg_matrix {
  size_t out, in;  // N, K as the model sees them
  size_t octets;   // ceil(out / 8)
  size_t padded;   // features as stored: quantised blocks * 32, dense = in
  int bits;        // 2, 3, 4, 5, 6, 8; 0: dense
  int type;        // pg_type of dense weights, or of scales
  int offset;      // pg_offset
  int parts;       // pg_parts; groups are PG_SUPER blocks unless it is PG_PARTS_NONE
  int zero;        // PG_OFFSET_ZERO; codes of 8 bits are signed, their zero is 0 or shifted by -128
  size_t groups;   // per row; a group is a run of blocks
  int single;      // every group is one block
  const uint32_t *group_start; // [groups + 1] first block of each group
  const int32_t *perm;         // [padded] input feature at each place, -1 where padded; NULL: as they are
  uint8_t *codes;              // [octets][padded / 32][bytes] or dense [octets][in][8]
  uint8_t *scales;             // [octets][groups][8] of type
  uint8_t *offsets;            // [octets][groups][8] int8 zeros or f16 mins; K-quants: those of the group, negated
  uint8_t *part_bytes;         // [octets][padded / 32][8][2]; NULL without parts
  const struct pg_pack *source; // where it is not all repacked: from what, as whose windows it is read (window.c); else NULL
  size_t repacked;             // octets that are repacked, from the first on; GPTQ, which is not repacked octet by octet, leaves it 0
} pg_matrix;

static inline size_t pg_type_size(int type) { return type == PG_F32 ? 4 : 2; }

// pg_block_bytes is the size of an octet's codes for one block.
static inline size_t pg_block_bytes(int bits) { return (size_t)bits * PG_OCTET * PG_BLOCK / 8; }

// pg_octet_bytes is the size of an octet's codes, scales left out.
static inline size_t pg_octet_bytes(const pg_matrix *w) {
  return w->bits ? w->padded / PG_BLOCK * pg_block_bytes(w->bits) : w->in * PG_OCTET * pg_type_size(w->type);
}

// pg_supers is how many runs of PG_SUPER blocks there are, the last of which may be shorter.
static inline size_t pg_supers(size_t blocks) { return (blocks + PG_SUPER - 1) / PG_SUPER; }

static inline size_t pg_offset_size(const pg_matrix *w) {
  return w->offset == PG_OFFSET_MIN ? 2 : w->offset == PG_OFFSET_ZEROS ? 1 : 0;
}

// pg_octet_parts is the size of an octet's integer scales and minima.
static inline size_t pg_octet_parts(const pg_matrix *w) { return w->parts ? w->padded / PG_BLOCK * PG_PARTS_BYTES : 0; }

// pg_octet_cost is what reading an octet costs in bytes, everything included.
static inline size_t pg_octet_cost(const pg_matrix *w) {
  size_t side = w->bits ? w->groups * PG_OCTET * (pg_type_size(w->type) + pg_offset_size(w)) : 0;
  return pg_octet_bytes(w) + side + pg_octet_parts(w);
}

// pg_side is what a row has beside the codes of 16 features.
typedef struct pg_side {
  float scale, min; // w = scale*(code - zero) + min
  int zero;
} pg_side;

// pg_side_of returns that of row r of octet o, for the first (half 0) or last 16 features of block b in group g.
pg_side pg_side_of(const pg_matrix *w, size_t o, size_t g, size_t b, size_t half, size_t r);

float pg_f16_to_f32(uint16_t h);
uint16_t pg_f32_to_f16(float f);
float pg_load(const uint8_t *p, int type, size_t i); // element i, widened

// pg_unpack_block writes the codes of one octet and block, q[8][32]; 8-bit codes signed, the others not.
void pg_unpack_block(int16_t q[PG_OCTET][PG_BLOCK], const uint8_t *codes, int bits);

// pg_unpack_row writes row n of W as float32, dst[in], with the roundings that quant.Dequantize defines.
void pg_unpack_row(float *dst, const pg_matrix *w, size_t n);

// pg_format is how a source stores its weights; of GGUF's blocks the layout is that of quant.Format.
enum pg_format {
  PG_DENSE, PG_GPTQ, PG_Q4_0, PG_Q4_1, PG_Q5_0, PG_Q5_1, PG_Q8_0, PG_Q2_K, PG_Q3_K, PG_Q4_K, PG_Q5_K, PG_Q6_K,
};

// pg_pack says what is repacked into dst by pg_pack_octets. rows maps an output row to a stored one, NULL: itself. That the
// source holds what it should is checked by the caller (quant.Matrix.Validate).
typedef struct pg_pack {
  const pg_matrix *dst;
  const uint8_t *src;   // dense rows, GGUF blocks, or GPTQ words [in/32*bits, stored] packed along K
  const int32_t *rows;
  int format;           // pg_format
  size_t block;         // bytes of a GGUF block; else 0
  size_t stored;        // GPTQ: columns; else 0
  size_t blo, bhi;      // GPTQ: the blocks of dst to write
  const uint8_t *scales; // GPTQ: [groups, stored] of dst->type, taken with the first block
  const int8_t *zeros;   // GPTQ: [groups, stored]; NULL with PG_OFFSET_ZERO
} pg_pack;

static inline size_t pg_source_row(const int32_t *rows, size_t n) { return rows ? (size_t)rows[n] : n; }

// pg_pack_octets writes octets lo..hi of the destination.
void pg_pack_octets(const pg_pack *p, size_t lo, size_t hi);

// pg_pack_blocks and pg_pack_gptq are pg_pack_octets for GGUF's blocks and for GPTQ.
void pg_pack_blocks(const pg_pack *p, size_t lo, size_t hi);
void pg_pack_gptq(const pg_pack *p, size_t lo, size_t hi);

// window.c: reading a matrix that has a source, not of GPTQ.

// pg_needs_window says whether the octets up to hi are not all repacked.
static inline int pg_needs_window(const pg_matrix *w, size_t hi) { return w->source && hi > w->repacked; }

// pg_window repacks octets lo..hi of w into room and returns them as a matrix of their own, whose octets count from 0. It lives as
// long as room, pg_window_bytes(w, hi - lo) from the beginning of a cache line on.
pg_matrix pg_window(const pg_matrix *w, size_t lo, size_t hi, uint8_t *room);
size_t pg_window_bytes(const pg_matrix *w, size_t octets);

#endif
