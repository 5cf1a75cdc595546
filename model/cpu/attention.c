// Rotary embedding, the KV cache, and attention.
//
// The cache is cut into segments of PG_SEGMENT positions. A query's softmax is computed per segment (maximum m, sum l, weighted
// values o) and the segments are folded in order:
//   M' = max(M, m),  L = L e^(M-M') + l e^(m-M'),  O = O e^(M-M') + o e^(m-M').
// The cut depends on positions alone, so the result is the same bits for any number of threads and any cut of the prompt.
//
// Passes of many tokens take tiles of bfloat16 where a set has them: the same, with other roundings.
#include "forward.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t width(const pg_model *m) { return (m->head_dim + 7) / 8 * 8; } // dv

static size_t head_bytes(const pg_model *m) { return PG_SEGMENT * (m->head_dim + width(m)) * pg_type_size(m->kv_type); }

static size_t segments(const pg_model *m) { return (m->context + PG_SEGMENT - 1) / PG_SEGMENT; }

size_t pg_kv_bytes(const pg_model *m) { return segments(m) * m->layers * m->kv_heads * head_bytes(m); }

static uint8_t *keys_of(const pg_model *m, size_t segment, size_t layer, size_t kv_head) {
  return m->kv + ((segment * m->layers + layer) * m->kv_heads + kv_head) * head_bytes(m);
}

static uint8_t *values_of(const pg_model *m, size_t segment, size_t layer, size_t kv_head) {
  return keys_of(m, segment, layer, kv_head) + PG_SEGMENT * m->head_dim * pg_type_size(m->kv_type);
}

// NeoX halves: (a, b) turn by the angle of their pair.
static void rotate(float *restrict v, const float *restrict cos, const float *restrict sin, size_t d) {
  size_t half = d / 2;
  for (size_t i = 0; i < half; i++) {
    float a = v[i], b = v[i + half];
    v[i] = a * cos[i] - b * sin[i];
    v[i + half] = b * cos[i] + a * sin[i];
  }
}

// Writes one key, d features apart by 8 elements, or one value, contiguous. half: [PG_CHUNK_K] halves.
static void store(const pg_model *m, uint8_t *to, const float *v, size_t stride) {
  uint16_t half[PG_CHUNK_K];
  for (size_t i = 0; i < m->head_dim; i += PG_CHUNK_K) {
    size_t n = m->head_dim - i < PG_CHUNK_K ? m->head_dim - i : PG_CHUNK_K;
    if (m->kv_type == PG_F16) {
      m->isa->to_half(half, v + i, n);
      for (size_t k = 0; k < n; k++) memcpy(to + 2 * (i + k) * stride, &half[k], 2);
    } else {
      for (size_t k = 0; k < n; k++) memcpy(to + 4 * (i + k) * stride, &v[i + k], 4);
    }
  }
}

// Rotates the keys of the chunk, and the queries from token `from` on, and stores keys and values.
static void write_cache(pg_chunk *c, size_t layer, size_t from, unsigned thread, unsigned threads) {
  pg_model *m = c->m;
  size_t d = m->head_dim, units = m->heads + 2 * m->kv_heads, size = pg_type_size(m->kv_type);
  size_t lo = pg_share(c->n * units, thread, threads), hi = pg_share(c->n * units, thread + 1, threads);
  for (size_t i = lo; i < hi; i++) {
    size_t t = i / units, u = i % units, pos = c->pos + t, segment = pos / PG_SEGMENT, j = pos % PG_SEGMENT;
    float *v = m->qkv + i * d;
    if (u < m->heads && t < from) continue;
    if (u < m->heads + m->kv_heads && c->cos) rotate(v, c->cos + t * (d / 2), c->sin + t * (d / 2), d);
    if (u < m->heads) continue;
    if (u < m->heads + m->kv_heads) {
      store(m, keys_of(m, segment, layer, u - m->heads) + (j / 8 * d * 8 + j % 8) * size, v, 8);
    } else {
      store(m, values_of(m, segment, layer, u - m->heads - m->kv_heads) + j * width(m) * size, v, 1);
    }
  }
}

// vector is query vector v of a kv head, counted from the chunk's first token on: one head of one token.
typedef struct vector {
  const float *q;
  float *out;      // in m->attn
  uint16_t *out16; // or in m->attn16, where out is NULL
  size_t pos;
  float slope;
} vector;

static vector vector_at(const pg_chunk *c, size_t kv_head, size_t v, uint16_t *to) {
  const pg_model *m = c->m;
  size_t group = m->heads / m->kv_heads, t = v / group, head = kv_head * group + v % group;
  return (vector){
      .q = m->qkv + (t * (m->heads + 2 * m->kv_heads) + head) * m->head_dim,
      .out = to ? NULL : m->attn + (t * m->heads + head) * m->head_dim,
      .out16 = to ? pg_bf16_at(to, m->heads * m->head_dim / PG_BLOCK, t, head * m->head_dim / PG_BLOCK) : NULL,
      .pos = c->pos + t,
      .slope = m->slopes ? m->slopes[head] : 0,
  };
}

// One segment for up to PG_VECTORS vectors: part[v] = {o[dv], m, l}. A vector that sees no key of it gets l = 0.
static void segment_part(const pg_chunk *c, size_t layer, size_t kv_head, size_t segment, const vector *vec, size_t n,
                         float *const part[PG_VECTORS], pg_scratch *s) {
  const pg_model *m = c->m;
  size_t dv = width(m), first = segment * PG_SEGMENT, keys = 0, sees[PG_VECTORS];
  const float *q[PG_VECTORS];
  for (size_t v = 0; v < n; v++) {
    size_t all = vec[v].pos + 1;
    sees[v] = all <= first ? 0 : all - first < PG_SEGMENT ? all - first : PG_SEGMENT;
    if (sees[v] > keys) keys = sees[v];
    q[v] = vec[v].q;
  }
  size_t padded = (keys + 7) / 8 * 8;
  m->isa->scores(s->scores, q, n, keys_of(m, segment, layer, kv_head), m->kv_type, keys, m->head_dim);
  float scale = (float)(1 / sqrt((double)m->head_dim));
  for (size_t v = 0; v < n; v++) {
    float *row = s->scores + v * PG_SEGMENT, slope = vec[v].slope;
    // slope * (j - pos) instead of slope * j: the same after softmax, and small where it matters.
    float back = (float)first - (float)vec[v].pos;
    if (slope != 0) {
      for (size_t j = 0; j < sees[v]; j++) row[j] = (row[j] + slope * (back + (float)j)) * scale;
    } else {
      for (size_t j = 0; j < sees[v]; j++) row[j] *= scale;
    }
    for (size_t j = sees[v]; j < padded; j++) row[j] = -INFINITY;
    float top = sees[v] ? m->isa->max(row, padded) : 0;
    part[v][dv] = top;
    part[v][dv + 1] = m->isa->sum_exp(row, top, padded);
  }
  m->isa->weigh(part, s->scores, n, values_of(m, segment, layer, kv_head), m->kv_type, keys, dv);
}

// Folds one segment's part into a state of the same form.
static void fold(float *restrict state, const float *restrict part, size_t dv) {
  float top = state[dv] > part[dv] ? state[dv] : part[dv], a = expf(state[dv] - top), b = expf(part[dv] - top);
  for (size_t i = 0; i < dv; i++) state[i] = state[i] * a + part[i] * b;
  state[dv + 1] = state[dv + 1] * a + part[dv + 1] * b;
  state[dv] = top;
}

static void write_out(const pg_model *m, const vector *vec, float *state) {
  float inv = 1 / state[width(m) + 1], *to = vec->out16 ? state : vec->out;
  for (size_t i = 0; i < m->head_dim; i++) to[i] = state[i] * inv;
  if (vec->out16) m->isa->to_bf16(vec->out16, to, m->head_dim);
}

// A few tokens, from token `from` on: an item is a tile of vectors and a segment; who finishes a tile's last segment folds them all.
static void attend_few(pg_chunk *c, size_t layer, size_t from, pg_scratch *s) {
  pg_model *m = c->m;
  size_t dv = width(m), group = m->heads / m->kv_heads, vectors = group * (c->n - from);
  size_t most = m->isa->vectors, tiles = (vectors + most - 1) / most;
  size_t segs = (c->pos + c->n - 1) / PG_SEGMENT + 1, all = segments(m), items = m->kv_heads * tiles * segs;
  for (size_t item = pg_next(m->pool); item < items; item = pg_next(m->pool)) {
    size_t segment = item % segs, tile = item / segs, kv_head = tile / tiles, v0 = tile % tiles * most;
    size_t n = vectors - v0 < most ? vectors - v0 : most;
    vector vec[PG_VECTORS];
    float *part[PG_VECTORS];
    for (size_t v = 0; v < n; v++) {
      vec[v] = vector_at(c, kv_head, from * group + v0 + v, NULL);
      part[v] = m->parts + ((kv_head * vectors + v0 + v) * all + segment) * (dv + 2);
    }
    segment_part(c, layer, kv_head, segment, vec, n, part, s);
    if (atomic_fetch_add(&m->finished[tile], 1) + 1 < segs) continue;
    atomic_store(&m->finished[tile], 0);
    for (size_t v = 0; v < n; v++) {
      float *state = m->parts + (kv_head * vectors + v0 + v) * all * (dv + 2);
      for (size_t i = 1; i < segs; i++)
        if (state[i * (dv + 2) + dv + 1] != 0) fold(state, state + i * (dv + 2), dv);
      write_out(m, &vec[v], state);
    }
  }
}

// The most rows of an item of a prefill: 64 vectors, or all of one row's.
static size_t most_rows(const pg_model *m) {
  size_t rows = 64 / (m->heads / m->kv_heads);
  return rows ? rows : 1;
}

size_t pg_attention_vectors(const pg_model *m) { return most_rows(m) * (m->heads / m->kv_heads); }

static size_t common_divisor(size_t a, size_t b) { return b ? common_divisor(b, a % b) : a; }

// Rows of an item so that there are some items for each thread, which end at about the same time, and none of the calls for
// m->isa->vectors vectors is half empty.
static size_t item_rows(const pg_model *m, size_t n, unsigned threads) {
  enum { SHARES = 3 };
  size_t vectors = m->isa->vectors, unit = vectors / common_divisor(vectors, m->heads / m->kv_heads), most = most_rows(m);
  size_t fair = n * m->kv_heads / (SHARES * (size_t)threads), rows = fair < unit ? unit : fair / unit * unit;
  if (most >= unit) most -= most % unit;
  return rows < most ? rows : most;
}

// A prefill, from token `from` on: an item is a kv head and a run of rows, which passes over the segments once.
static void attend_many(pg_chunk *c, size_t layer, size_t from, pg_scratch *s, unsigned threads) {
  pg_model *m = c->m;
  size_t dv = width(m), group = m->heads / m->kv_heads, all = c->n - from;
  size_t rows = item_rows(m, all, threads), runs = (all + rows - 1) / rows;
  float *part[PG_VECTORS];
  for (size_t item = pg_next(m->pool); item < runs * m->kv_heads; item = pg_next(m->pool)) {
    size_t run = runs - 1 - item / m->kv_heads, kv_head = item % m->kv_heads; // the longest first
    size_t t0 = from + run * rows, t1 = t0 + rows < c->n ? t0 + rows : c->n, v0 = t0 * group, vectors = (t1 - t0) * group;
    size_t segs = (c->pos + t1 - 1) / PG_SEGMENT + 1;
    for (size_t segment = 0; segment < segs; segment++) {
      for (size_t v = 0; v < vectors; v += m->isa->vectors) {
        size_t n = vectors - v < m->isa->vectors ? vectors - v : m->isa->vectors;
        vector vec[PG_VECTORS];
        for (size_t i = 0; i < n; i++) {
          vec[i] = vector_at(c, kv_head, v0 + v + i, NULL);
          part[i] = segment ? s->part + i * (dv + 2) : s->state + (v + i) * (dv + 2);
        }
        segment_part(c, layer, kv_head, segment, vec, n, part, s);
        for (size_t i = 0; i < n && segment; i++)
          if (part[i][dv + 1] != 0) fold(s->state + (v + i) * (dv + 2), part[i], dv);
      }
    }
    for (size_t v = 0; v < vectors; v++) {
      vector vec = vector_at(c, kv_head, v0 + v, NULL);
      write_out(m, &vec, s->state + v * (dv + 2));
    }
  }
}

enum { AT_ONCE = 2 * PG_BF16_TILE }; // vectors that are multiplied at once

static int attends_bf16(const pg_model *m, int many) { return pg_takes_bf16(m, many) && m->head_dim % PG_BLOCK == 0; }

static void *room(size_t bytes) { return aligned_alloc(64, (bytes + 63) / 64 * 64); }

int pg_attention_init(const pg_model *m, pg_scratch *s) {
  if (!attends_bf16(m, 1)) return 1;
  size_t d = m->head_dim, vectors = (pg_attention_vectors(m) + AT_ONCE - 1) / AT_ONCE * AT_ONCE;
  s->q16 = room(vectors * d * sizeof *s->q16);
  s->keys16 = room(PG_SEGMENT * d * sizeof *s->keys16);
  s->values16 = room(PG_SEGMENT * d * sizeof *s->values16);
  s->p16 = room(AT_ONCE * PG_SEGMENT * sizeof *s->p16);
  s->scores16 = room(AT_ONCE * PG_SEGMENT * sizeof *s->scores16);
  s->part16 = room(AT_ONCE * (d + 2) * sizeof *s->part16);
  return s->q16 && s->keys16 && s->values16 && s->p16 && s->scores16 && s->part16;
}

void pg_attention_free(pg_scratch *s) {
  void *all[] = {s->q16, s->keys16, s->values16, s->p16, s->scores16, s->part16};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

// Softmax of a row of scores, which are scaled already: p16 gets the weights of `blocks` blocks of keys as a row of tiles. Returns the
// maximum and the sum in part.
static void soften(const pg_model *m, const vector *vec, float *row, size_t first, size_t blocks, uint16_t *p16, float *part) {
  size_t dv = width(m), all = vec->pos + 1, sees = all <= first ? 0 : all - first, padded = blocks * PG_BLOCK;
  if (sees > padded) sees = padded;
  if (vec->slope != 0) {
    float slope = vec->slope * (float)(1 / sqrt((double)m->head_dim)), back = (float)first - (float)vec->pos;
    for (size_t j = 0; j < sees; j++) row[j] += slope * (back + (float)j);
  }
  for (size_t j = sees; j < padded; j++) row[j] = -INFINITY;
  part[dv] = sees ? m->isa->max(row, padded) : 0;
  part[dv + 1] = m->isa->sum_exp(row, part[dv], padded);
  m->isa->to_bf16(p16, row, padded);
}

// An item's part of one segment, folded into its states: all its query vectors against keys and values that are made bfloat16 once.
static void segment_bf16(pg_chunk *c, size_t layer, size_t kv_head, size_t segment, size_t v0, size_t vectors, uint16_t *to, pg_scratch *s) {
  pg_model *m = c->m;
  const size_t d = m->head_dim, dv = width(m), group = m->heads / m->kv_heads, first = segment * PG_SEGMENT;
  size_t keys = c->pos + (v0 + vectors - 1) / group + 1 - first;
  if (keys > PG_SEGMENT) keys = PG_SEGMENT;
  const size_t blocks = (keys + PG_BLOCK - 1) / PG_BLOCK;
  m->isa->keys_bf16(s->keys16, keys_of(m, segment, layer, kv_head), m->kv_type, keys, d);
  m->isa->values_bf16(s->values16, values_of(m, segment, layer, kv_head), m->kv_type, keys, d);
  for (size_t v = 0; v < vectors; v += AT_ONCE) {
    const size_t n = vectors - v < AT_ONCE ? vectors - v : AT_ONCE, tiles = (n + PG_BF16_TILE - 1) / PG_BF16_TILE;
    m->isa->tiles_bf16(s->scores16, PG_SEGMENT, s->q16 + v * d, tiles, s->keys16, 2 * blocks, d / PG_BLOCK);
    for (size_t i = 0; i < n; i++) {
      vector vec = vector_at(c, kv_head, v0 + v + i, to);
      soften(m, &vec, s->scores16 + i * PG_SEGMENT, first, blocks, pg_bf16_at(s->p16, blocks, i, 0), s->part16 + i * (dv + 2));
    }
    m->isa->tiles_bf16(s->part16, dv + 2, s->p16, tiles, s->values16, d / PG_BF16_TILE, blocks);
    for (size_t i = 0; i < n; i++) {
      float *part = s->part16 + i * (dv + 2), *state = s->state + (v + i) * (dv + 2);
      if (!segment)
        memcpy(state, part, (dv + 2) * sizeof *state);
      else if (part[dv + 1] != 0)
        fold(state, part, dv);
    }
  }
}

// attend_many with bfloat16.
static void attend_bf16(pg_chunk *c, size_t layer, size_t from, uint16_t *to, pg_scratch *s, unsigned threads) {
  pg_model *m = c->m;
  const size_t d = m->head_dim, group = m->heads / m->kv_heads, all = c->n - from;
  const size_t rows = item_rows(m, all, threads), runs = (all + rows - 1) / rows;
  const float scale = (float)(1 / sqrt((double)d));
  for (size_t item = pg_next(m->pool); item < runs * m->kv_heads; item = pg_next(m->pool)) {
    size_t run = runs - 1 - item / m->kv_heads, kv_head = item % m->kv_heads; // the longest first
    size_t t0 = from + run * rows, t1 = t0 + rows < c->n ? t0 + rows : c->n, v0 = t0 * group, vectors = (t1 - t0) * group;
    for (size_t v = 0; v < vectors; v++) {
      const float *q = vector_at(c, kv_head, v0 + v, to).q;
      for (size_t i = 0; i < d; i++) s->scores16[i] = q[i] * scale;
      m->isa->to_bf16(pg_bf16_at(s->q16, d / PG_BLOCK, v, 0), s->scores16, d);
    }
    for (size_t segment = 0; segment <= (c->pos + t1 - 1) / PG_SEGMENT; segment++)
      segment_bf16(c, layer, kv_head, segment, v0, vectors, to, s);
    for (size_t v = 0; v < vectors; v++) {
      vector vec = vector_at(c, kv_head, v0 + v, to);
      write_out(m, &vec, s->state + v * (width(m) + 2));
    }
  }
}

int pg_attention(pg_chunk *c, size_t layer, size_t from, int many, uint16_t *to, unsigned thread, unsigned threads) {
  write_cache(c, layer, from, thread, threads);
  if (from == c->n) return 0;
  if (pg_barrier(c->m->pool, thread, &c->m->cancel)) return 1;
  if (attends_bf16(c->m, many)) {
    attend_bf16(c, layer, from, to, &c->m->scratch[thread], threads);
  } else if (c->n - from <= PG_SMALL) {
    attend_few(c, layer, from, &c->m->scratch[thread]);
  } else {
    attend_many(c, layer, from, &c->m->scratch[thread], threads);
  }
  return 0;
}
