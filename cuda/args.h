// The arguments of every kernel: one struct each, passed by value. Go fills them through cgo, the kernels read them, the
// emulator too, so there is one definition. Addresses are device memory. "x" is an activation that feeds a matrix product, in
// one of the forms of kernels/layout.cuh; everything else is row-major.
#ifndef PEREGRINE_CUDA_ARGS_H
#define PEREGRINE_CUDA_ARGS_H

#include <stdint.h>

typedef uint64_t pg_ptr; // an address in device memory; 0: absent

enum {
  PG_SEGMENTS = 4,     // matrices of one launch whose outputs are disjoint
  PG_SOURCES = 2,      // products that are added up in one output
  PG_NORM_OUTPUTS = 6, // inputs that one normalisation writes
  PG_PARTS = 3,        // stored matrices that become one repacked matrix
  PG_DECODE_TOKENS = 8,
  PG_FEW_TOKENS = 2, // of linear_few
  PG_SPLIT_KEYS = 256, // of a block of attention_decode, which has a thread for each
  PG_VALUE_KEYS = 64, // positions of which the cache has a value's element side by side
  PG_TILE_ROWS = 16,
  PG_TOKENS = 512, // of a pass at most
};

// How an activation x is stored; see kernels/layout.cuh.
enum pg_form {
  PG_FRAGMENTS, // f16, for mma.sync
  PG_FLOATS,    // f32 in the order of the fragments, for the precise kernels
  PG_CORES,     // f16, for wgmma
};

// One repacked matrix; see kernels/layout.cuh. A dense matrix has no scales.
typedef struct {
  pg_ptr codes;         // [row tiles][k tiles][vectors][32] of 16 bytes
  pg_ptr scales;        // [row tiles][groups][16] f16, or f32 if scale_f32; k formats: bytes, with minima (formats_gguf.cuh)
  pg_ptr offsets;       // [row tiles][groups][16]: zero points, u8; m formats: minima, f16. 0: every zero point is `zero`
  pg_ptr supers;        // k formats: [row tiles][super-blocks][16] f16, or pairs of f16; else 0
  uint32_t rows;        // output features without padding
  uint32_t k_tiles;
  uint32_t groups;
  uint32_t group_steps; // steps of 16 features in a group, an even number; k2, k3, k6: 1
  uint32_t zero;
  uint32_t scale_f32;
} pg_matrix;

// What happens to y[token][row] = Σ over sources, bias added.
enum pg_epilogue {
  PG_STORE, // out[token][row], f32
  PG_ADD,   // out[token][row] += y, f32
  PG_GELU,  // x of the next matrix: place[row] = gelu(y)
  PG_GATED, // rows are tiles of 8 gate rows and 8 up rows: place[8·tile + i] = silu(y[i]) · y[8+i]
};

typedef struct {
  pg_matrix w;
  pg_ptr x;        // in the form that the kernel reads
  pg_ptr ready;    // linear_decode: counts the items or blocks that have written x; 0: the kernels ahead have
  uint32_t blocks; // how many write x
  uint32_t reserved;
} pg_source;

typedef struct {
  pg_source source[PG_SOURCES];
  pg_ptr bias[PG_SOURCES]; // f32 [rows] as the model has them (gated: all gate rows, then all up rows); 0: none
  pg_ptr out;              // f32 [tokens][out_stride], or x
  pg_ptr place;            // u32 [features]: where a feature stands in the next matrix's input; 0: as it is
  uint32_t out_stride;     // f32: elements a token; x: features of the next input, padded
  uint32_t sources;
  uint32_t epilogue;
  uint32_t tiles; // row tiles
  pg_ptr done;    // u32: linear_decode counts its items whose outputs are written; 0: nobody asks
  pg_ptr stats;   // linear_decode, PG_ADD: f32 [tokens][items][2], of what each item is the mean and Σ (y − mean)²; 0: none
} pg_segment;

// linear_decode_F: tokens ≤ 8, PG_DECODE_SHARED bytes of shared memory. Any grid: its blocks share the items, each of
// PG_DECODE_TILES row tiles of a segment.
// linear_few_F: the same, tokens ≤ PG_FEW_TOKENS.
// linear_precise_F: grid (all segments' tiles, token groups of 8).
// linear_prefill_F: grid (Σ ceil(tiles / PG_PREFILL_TILES), ceil(tokens / PG_PREFILL_TOKENS)). Its variant for compute
// capability 9.0: grid (the same, ceil(tokens / PG_HOPPER_TOKENS)), x in the form PG_CORES.
typedef struct {
  pg_segment segment[PG_SEGMENTS];
  uint32_t segments;
  uint32_t tokens;
  uint32_t items; // linear_decode: groups of PG_DECODE_TILES row tiles of all segments, each segment's last one maybe not full
  uint32_t ends;  // linear_decode: steps of which every group is a multiple; 0: no matrix has more than one group
} pg_linear_args;

// On a multiprocessor of compute capability 9.0 there is room for two blocks of linear_decode and one of attention_decode_64, so
// that the attention runs beside the up projection: 2·(94 + 1) + 36 KiB of 228. The compiler finds out the registers from
// PG_DECODE_BOUND, which is more than the 256 threads of a block: 96 each.
enum { PG_DECODE_TILES = 2, PG_DECODE_SHARED = 94 << 10, PG_DECODE_BLOCKS = 2, PG_DECODE_BOUND = 320 };
enum { PG_PREFILL_TILES = 8, PG_PREFILL_TOKENS = 128 };
enum { PG_HOPPER_THREADS = 384, PG_HOPPER_TOKENS = 256, PG_HOPPER_SHARED = 226 << 10 };

// embed_F: out[token][feature] = w[id[token]][feature]. Grid (tokens).
typedef struct {
  pg_matrix w;
  pg_ptr ids;   // i32 [tokens]
  pg_ptr place; // u32 [hidden]: where a feature stands among w's; 0: as it is
  pg_ptr out;   // f32 [tokens][hidden]
  uint32_t hidden;
  uint32_t tokens;
} pg_embed_args;

typedef struct {
  pg_ptr weight; // f32 [hidden]
  pg_ptr bias;   // f32 [hidden]; 0: none
  pg_ptr place;  // u32 [hidden]; 0: as it is
  pg_ptr x;
  uint32_t features; // of x, padded
  uint32_t reserved;
} pg_norm_output;

// norm: grid (tokens, slices). Every block computes its token's statistics; block s writes every slices-th run of 256 features.
// norm_decode: grid (tokens, ceil(hidden / 256)); a block writes 256 features.
typedef struct {
  pg_norm_output output[PG_NORM_OUTPUTS];
  pg_ptr in; // f32 [tokens][hidden]
  // norm_decode alone:
  pg_ptr stats;    // pg_segment.stats of the launch that wrote `in`
  pg_ptr ready;    // that launch's pg_segment.done
  uint32_t blocks; // items of that launch
  uint32_t reserved;
  uint32_t outputs;
  uint32_t hidden;
  uint32_t tokens;
  float eps;
  uint32_t rms;  // 1: RMSNorm, 0: LayerNorm
  uint32_t form; // of x
} pg_norm_args;

// Read by kernels when they run, so that one graph serves every token.
typedef struct {
  uint32_t pos; // of the first of the tokens
  uint32_t reserved[3];
} pg_state;

// Attention of one layer. The cache is [kv_heads][context][row] for keys and [kv_heads][context/PG_VALUE_KEYS][row]
// [PG_VALUE_KEYS] for values; row is head_dim padded with zeros, context a multiple of PG_VALUE_KEYS. A key is stored with its rotation.
typedef struct {
  pg_ptr qkv;    // f32 [tokens][(heads + 2·kv_heads)·head_dim]: queries, keys, values
  pg_ptr angles; // f32 [tokens][head_dim/2][2]: cosine, sine; 0: no rotation
  pg_ptr slopes; // f32 [heads]: ALiBi; 0: none
  pg_ptr keys;   // f16, or f32 if precise
  pg_ptr values;
  pg_ptr state;   // pg_state
  pg_ptr partial; // scratch, f32 [tokens][heads][splits][row], then [tokens][heads][splits]
  pg_ptr arrived; // scratch, u32 [kv_heads][16 query rows of a head], zero between launches
  pg_ptr place;   // u32 [heads·head_dim]; 0: as it is
  pg_ptr x;       // output: input of the next matrix
  uint32_t features; // of x, padded
  uint32_t tokens;
  uint32_t heads;
  uint32_t kv_heads;
  uint32_t head_dim;
  uint32_t row;
  uint32_t context; // positions of the cache
  uint32_t splits;  // blocks along the sequence; decode and precise
  uint32_t blocks;  // attention_decode: qkv is written when `ready` has counted so many
  uint32_t alone;   // attention_decode: 1: nothing else needs the memory while it waits
  pg_ptr ready;     // attention_decode: u32, pg_segment.done of the query, key and value projections; 0: the kernels ahead wrote qkv
  pg_ptr done;      // attention_decode: u32, counts kv_heads · (16 query rows of a head) when x is written; 0: nobody asks
  float scale;      // 1/sqrt(head_dim); scores are (q·k + slope·j) · scale
  uint32_t precise; // keys and values are f32
  uint32_t form;    // of x
} pg_attention_args;

// A candidate as model.Candidate has it.
typedef struct {
  int32_t id;
  float logit;
} pg_candidate;

// top_chunk: grid (chunks, rows); top_merge: grid (rows). The k ≤ PG_TOP highest logits of each row, highest first, lowest id
// among equals, and log Σ exp. A NaN anywhere makes the row's log sum NaN.
typedef struct {
  pg_ptr logits;  // f32 [rows][vocab]
  pg_ptr partial; // scratch, u64 [rows][chunks][PG_TOP] keys, then f32 [rows][chunks][2]: largest logit, Σ exp(logit − it)
  pg_ptr top;     // pg_candidate [rows][PG_TOP]
  pg_ptr log_sum; // f32 [rows]
  uint32_t vocab;
  uint32_t rows;
  uint32_t k;
  uint32_t chunks; // ceil(vocab / PG_TOP_CHUNK)
} pg_top_args;

enum { PG_TOP = 64, PG_TOP_CHUNK = 1024 };

// activate: x[place[f]] = silu(gate[f]) · up[f], where gate and up are stored in different formats. Grid (blocks, tokens).
typedef struct {
  pg_ptr gate; // f32 [tokens][ffn]
  pg_ptr up;
  pg_ptr place;
  pg_ptr x;
  uint32_t features;
  uint32_t ffn;
  uint32_t tokens;
  uint32_t form; // of x
} pg_activate_args;

// repack_F: source bytes → codes. One thread a vector of 16 bytes.
//
// Formats of rows (all but GPTQ): source[0] holds the rows [first_tile·16, first_tile·16 + rows) of the
// repacked matrix one after the other, as stored. GPTQ: source[i] holds part i's qweight, and row_table says which part and
// column a row is: part << 30 | column, ~0 for a padding row.
typedef struct {
  pg_ptr source[PG_PARTS];
  pg_ptr zeros_source[PG_PARTS];  // GPTQ: qzeros
  pg_ptr scales_source[PG_PARTS]; // GPTQ: scales [groups][stored]
  uint32_t stored[PG_PARTS];      // GPTQ: columns of each part
  uint32_t bits;                  // GPTQ
  uint32_t zero_rule;             // GPTQ: quant.ZeroRule
  uint32_t scale_type;            // GPTQ: 0 f16, 1 bf16, 2 f32
  uint32_t in;                    // features of the source
  pg_ptr row_table;               // u32 [tiles·16]; 0: as it is
  pg_ptr k_table;                 // u32 [k_tiles · features of a tile]: the source's feature, ~0 for padding; 0: as it is
  pg_matrix w;                    // where it goes
  uint32_t first_tile;            // row tile to begin with; row formats: that of the source's first row
  uint32_t tiles;                 // row tiles to write
  uint32_t source_rows;           // row formats: rows in source[0]; rows behind them are padding
  uint32_t reserved;
} pg_repack_args;

// expand_F: f16 weights, in the layout of format f16, of a matrix of another format. One thread a vector of 16 bytes.
typedef struct {
  pg_matrix w;
  pg_ptr to;
  uint32_t tiles; // row tiles
  uint32_t reserved;
} pg_expand_args;

// read: adds up `bytes` of memory so that nothing can be left out; the denominator of every bandwidth figure.
typedef struct {
  pg_ptr from;
  pg_ptr sum; // u32 [blocks]
  uint64_t bytes;
} pg_read_args;

#endif
