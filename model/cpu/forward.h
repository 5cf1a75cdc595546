// A whole model as C sees it, and the forward pass. Go (load.go) fills pg_model; every array belongs to Go's arena, to the
// checkpoint (pg_matrix.source) or to the model, and outlives it. Sizes: M tokens of a chunk, H hidden, D head features, T positions.
#ifndef PEREGRINE_FORWARD_H
#define PEREGRINE_FORWARD_H

#include <stdatomic.h>

#include "isa.h"
#include "pool.h"

enum {
  PG_CHUNK = 128,  // the least that pg_model.chunk is: tokens of one internal chunk of a prefill, for which weights are read once
  PG_SMALL = 4,    // up to this many tokens every thread prepares its inputs by itself instead of waiting for others
  PG_MATRICES = 8, // of one linear layer at most
};

enum pg_status { PG_OK = 0, PG_CANCELLED = 1, PG_NO_MEMORY = 2 };

// pg_norm: weight NULL means absent; bias NULL means RMS norm.
typedef struct pg_norm {
  const float *weight, *bias; // [H]
} pg_norm;

// pg_linear is y = x . W^T + bias, the outputs of its matrices one after the other.
typedef struct pg_linear {
  const pg_matrix *w[PG_MATRICES];
  size_t n;
  const float *bias; // [out]; NULL: none
  unsigned fine;     // bit i: the int8 input of w[i] is a fine one (pg_job)
} pg_linear;

typedef struct pg_layer {
  pg_norm attn_norm, mlp_norm;
  pg_linear qkv, attn_out, up, down; // gated: up.w[0] is the gate, up.w[1] the up projection
} pg_layer;

// pg_scratch is one thread's own memory.
typedef struct pg_scratch {
  float *tile;   // [2][PG_TILE_FLOATS] outputs on their way to an epilogue
  float *decode; // for mul_float
  float *norm;   // [2][PG_SMALL][H]
  uint8_t *acts; // prepared inputs of up to PG_SMALL tokens
  float *scores; // [PG_VECTORS][PG_SEGMENT]
  float *part;   // [PG_VECTORS][dv], one segment's weighted sums
  float *state;  // [attention vectors of an item][dv + 2]: weighted sum, maximum, sum
  float *exps;   // [PG_VOCAB_SEGMENT], for the sum of exponentials
  // attention with bfloat16, see attention.c; else NULL
  uint16_t *q16, *keys16, *values16, *p16;
  float *scores16, *part16;
  uint8_t *window; // [2][window of the model] weights that are not repacked yet
} pg_scratch;

enum { PG_TILE_FLOATS = PG_BF16_MOST * PG_BF16_OCTETS * PG_OCTET, PG_VOCAB_SEGMENT = 4096 };

typedef struct pg_model {
  // the shape
  size_t hidden, layers, heads, kv_heads, head_dim, ffn, vocab, context;
  float eps;
  int parallel, gated, precise; // precise: float32 activations and KV cache
  const float *slopes;          // [heads] ALiBi; NULL: rotary
  // the weights
  const pg_layer *layer; // [layers]
  const pg_matrix *embed, *head;
  pg_norm final_norm;
  size_t chunk;  // the most tokens of a chunk; set by pg_model_init
  size_t window; // the most that pg_window_room says of a matrix that has a source; 0: none has
  // the KV cache: [segments][layers][kv_heads] of keys [PG_SEGMENT/8][D][8] and values [PG_SEGMENT][dv]
  uint8_t *kv;
  int kv_type; // PG_F16 or PG_F32
  // how it runs
  const pg_isa *isa;
  pg_pool *pool;
  unsigned threads; // of the pool
  atomic_int cancel;
  // working memory of a chunk, made by pg_model_init
  float *x;      // [M][H] the residual stream
  float *norm;   // [2][M][H]
  float *qkv;    // [M][(heads + 2 kv_heads) D]
  float *attn;   // [M][heads D]
  float *act;    // [M][ffn]
  uint16_t *attn16, *act16; // the same as bfloat16, where that is their only reader's form: [M / PG_BF16_TILE][blocks][PG_BF16_TILE][32]
  float *logits; // [PG_SMALL][vocab], where the caller wants none
  uint8_t *acts; // prepared inputs of a chunk
  float *parts;  // [heads * PG_SMALL][segments][dv + 2] partial attention
  atomic_uint *finished; // [heads * PG_SMALL] segments done, per tile
  pg_scratch *scratch;   // [threads]
  float *partial_sums;   // [M][vocab segments][2]
} pg_model;

typedef struct pg_candidate {
  int32_t id;
  float logit;
} pg_candidate;

// pg_model_init allocates the working memory; pg_model_free gives it back, not the struct itself.
int pg_model_init(pg_model *m);
void pg_model_free(pg_model *m);
size_t pg_kv_bytes(const pg_model *m); // of the whole cache

// pg_forward appends n tokens at position pos. cos, sin: [n][D/2] of their positions, NULL with ALiBi. Of the last `rows` tokens
// it writes logits[rows][vocab] (NULL: unwanted), the k best candidates top[rows][k] and logsum[rows] (NULL: unwanted). A set with bfloat16
// takes it from PG_BF16_ROWS tokens on; in the last layer behind the keys and values, from so many rows on; in the head, where logits are
// wanted too.
int pg_forward(pg_model *m, const int32_t *tokens, size_t n, size_t pos, const float *cos, const float *sin, size_t rows,
               float *logits, pg_candidate *top, size_t k, float *logsum);
void pg_cancel(pg_model *m, int on);

// One chunk of a forward pass, as the threads see it.
typedef struct pg_chunk {
  pg_model *m;
  const int32_t *tokens;
  size_t n, pos;
  const float *cos, *sin;
  size_t rows; // of the chunk's tokens, for which logits are wanted
  int many, many_rows; // whether the pass has tokens, and rows of logits, enough for bfloat16: PG_BF16_ROWS
  float *logits;
  pg_candidate *top, *found; // found: [threads][found_rows][k]
  size_t k, found_rows;
  float *logsum;
  int status;
} pg_chunk;

// pg_layer_acts_bytes is the most memory that a layer needs for prepared inputs; many: of a pass of many tokens (pg_run_jobs).
size_t pg_layer_acts_bytes(pg_model *m, size_t layer, size_t rows, int many);

// attention.c: returns whether the pass was cancelled.
// It stores the keys and values of all tokens of the chunk, and attends from token `from` on. many: as pg_run_jobs has it, of these tokens.
// to: m->attn16, which then gets the outputs; NULL: m->attn.
int pg_attention(pg_chunk *c, size_t layer, size_t from, int many, uint16_t *to, unsigned thread, unsigned threads);
size_t pg_attention_vectors(const pg_model *m); // that one item of a prefill holds
// pg_attention_init makes a thread's memory for attention with bfloat16, if the model has that. Returns whether it could.
int pg_attention_init(const pg_model *m, pg_scratch *s);
void pg_attention_free(pg_scratch *s);
// output.c: the same.
int pg_output(pg_chunk *c, unsigned thread, unsigned threads);
// linear.c
enum pg_epilogue { PG_STORE, PG_GELU, PG_SILU, PG_ADD };
// pg_job is one or two products whose octets go together, and what becomes of them:
// PG_STORE y = w0; PG_GELU y = gelu(w0); PG_SILU y = silu(w0) * w1; PG_ADD y += w0 (+ w1). Biases are added first.
typedef struct pg_job {
  const pg_matrix *w[2];
  const float *bias[2];
  const float *src[2]; // inputs, [rows][lds]
  size_t lds[2];
  const uint16_t *ready[2]; // inputs that are bfloat16 already, in the place of src; else NULL
  int fine;            // int8 inputs are rounded, and what that left is rounded once more: 16 bits at the price of a second token
  enum pg_epilogue epilogue;
  float *y;
  size_t ldy;
  uint16_t *y16; // with PG_GELU and PG_SILU: gets bfloat16 in the place of y; else NULL
  int act[2]; // index of the prepared input; set by pg_run_jobs
} pg_job;

// pg_run_jobs computes jobs on so many rows, each thread its part. No barrier at the end; in chunks of more than PG_SMALL rows there
// is one inside, after the inputs are prepared, unless all of them were ready. many: of a pass of PG_BF16_ROWS tokens and more; it decides on bfloat16, so that results do not
// depend on chunks. Returns whether the pass was cancelled.
int pg_run_jobs(pg_model *m, pg_job *jobs, size_t n, size_t rows, int many, unsigned thread, unsigned threads);
// pg_acts_bytes is the memory that pg_run_jobs needs for the prepared inputs.
size_t pg_acts_bytes(const pg_model *m, pg_job *jobs, size_t n, size_t rows, int many);
// pg_takes_bf16 says whether a pass takes bfloat16, and pg_takes_ready whether w takes it as it is, without gathering.
int pg_takes_bf16(const pg_model *m, int many);
int pg_takes_ready(const pg_model *m, const pg_matrix *w, int many);
// pg_bf16_at is the place of a row's block in tiles of bfloat16 with so many blocks.
static inline uint16_t *pg_bf16_at(uint16_t *tiles, size_t blocks, size_t row, size_t block) {
  return tiles + ((row / PG_BF16_TILE * blocks + block) * PG_BF16_TILE + row % PG_BF16_TILE) * PG_BLOCK;
}
// pg_window_room is the memory that a thread needs for windows of w.
size_t pg_window_room(const pg_isa *isa, const pg_matrix *w);

#endif
