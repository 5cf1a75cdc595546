// The forward pass: embedding, layers, and who waits for whom.
//
//   parallel block   norms; qkv and up | write cache | attention | attention output and down
//   sequential block norm; qkv | write cache | attention | attention output | norm; up | down
//   the last layer   qkv | write cache | and all the rest only for the tokens whose logits are wanted
//
// Each | is a barrier of all threads. Chunks of more than PG_SMALL tokens have one more wherever rows are shared out.
#include "forward.h"

#include <stdlib.h>
#include <string.h>

static size_t qkv_width(const pg_model *m) { return (m->heads + 2 * m->kv_heads) * m->head_dim; }

// Jobs for the matrices of a linear layer, one each, outputs side by side in y.
static size_t add_jobs(pg_job *jobs, size_t n, const pg_linear *l, const float *src, size_t lds, enum pg_epilogue e, float *y,
                       size_t ldy) {
  size_t at = 0;
  for (size_t i = 0; i < l->n; i++) {
    jobs[n++] = (pg_job){
        .w = {l->w[i]},
        .bias = {l->bias ? l->bias + at : NULL},
        .src = {src},
        .lds = {lds},
        .fine = (int)(l->fine >> i & 1),
        .epilogue = e,
        .y = y + at,
        .ldy = ldy,
    };
    at += l->w[i]->out;
  }
  return n;
}

// Where the activations between two linear layers go: NULL, or as bfloat16 to these tiles, if whoever reads them takes them so.
typedef struct tiles {
  uint16_t *attn, *act;
} tiles;

static tiles tiles_of(const pg_chunk *c, const pg_layer *l) {
  const pg_model *m = c->m;
  tiles t = {0};
  if (c->n <= PG_SMALL) return t; // each thread prepares these for itself
  if (m->head_dim % PG_BLOCK == 0 && l->attn_out.n == 1 && pg_takes_ready(m, l->attn_out.w[0], c->many)) t.attn = m->attn16;
  if ((m->gated || l->up.n == 1) && l->down.n == 1 && pg_takes_ready(m, l->down.w[0], c->many)) t.act = m->act16;
  return t;
}

static size_t up_jobs(const pg_model *m, pg_job *jobs, size_t n, const pg_layer *l, const float *src, tiles to) {
  if (!m->gated) {
    size_t end = add_jobs(jobs, n, &l->up, src, m->hidden, PG_GELU, m->act, m->ffn);
    jobs[n].y16 = to.act;
    return end;
  }
  const float *bias = l->up.bias;
  jobs[n++] = (pg_job){
      .w = {l->up.w[0], l->up.w[1]},
      .bias = {bias, bias ? bias + m->ffn : NULL},
      .src = {src, src},
      .lds = {m->hidden, m->hidden},
      .fine = (int)(l->up.fine & 1),
      .epilogue = PG_SILU,
      .y = m->act,
      .ldy = m->ffn,
      .y16 = to.act,
  };
  return n;
}

// From token `from` on; m->act begins with that one. With tiles it is 0.
static size_t out_jobs(const pg_model *m, pg_job *jobs, const pg_layer *l, size_t from, tiles in) {
  size_t width = m->heads * m->head_dim;
  size_t n = add_jobs(jobs, 0, &l->attn_out, m->attn + from * width, width, PG_ADD, m->x + from * m->hidden, m->hidden);
  jobs[0].ready[0] = in.attn;
  if (!m->parallel) return n;
  // Both products add to the same columns of x: one job, so that one thread does.
  jobs[0].w[1] = l->down.w[0];
  jobs[0].bias[1] = l->down.bias;
  jobs[0].src[1] = m->act;
  jobs[0].lds[1] = m->ffn;
  jobs[0].ready[1] = in.act;
  return n;
}

static size_t down_jobs(const pg_model *m, pg_job *jobs, const pg_layer *l, size_t from, tiles in) {
  size_t n = add_jobs(jobs, 0, &l->down, m->act, m->ffn, PG_ADD, m->x + from * m->hidden, m->hidden);
  jobs[0].ready[0] = in.act;
  return n;
}

// Norms of the residual stream from token `from` on; returns the rows' place. A few rows are done by every thread for itself. Of many
// each thread does its share, the same rows that it prepares in pg_run_jobs, whose barrier then shows them to all.
static float *norm_rows(pg_chunk *c, const pg_norm *norm, int slot, size_t from, unsigned thread, unsigned threads) {
  pg_model *m = c->m;
  size_t h = m->hidden, n = c->n - from;
  const float *x = m->x + from * h;
  int small = n <= PG_SMALL;
  float *to = small ? m->scratch[thread].norm + (size_t)slot * PG_SMALL * h : m->norm + (size_t)slot * m->chunk * h;
  size_t lo = small ? 0 : pg_share(n, thread, threads), hi = small ? n : pg_share(n, thread + 1, threads);
  for (size_t t = lo; t < hi; t++) m->isa->norm(to + t * h, x + t * h, norm->weight, norm->bias, h, m->eps);
  return to;
}

static int barrier(pg_chunk *c, unsigned thread) { return pg_barrier(c->m->pool, thread, &c->m->cancel); }

// The barrier at the end of a layer: the pool may take threads away there.
static int layer_barrier(pg_chunk *c, unsigned thread) { return pg_barrier_adapt(c->m->pool, thread, &c->m->cancel); }

// The second half of a sequential block, from token `from` on. many: as pg_run_jobs has it.
static int run_mlp(pg_chunk *c, const pg_layer *l, size_t from, int many, tiles via, unsigned thread, unsigned threads) {
  pg_model *m = c->m;
  pg_job jobs[2 * PG_MATRICES];
  const float *h = norm_rows(c, &l->mlp_norm, 0, from, thread, threads);
  size_t n = up_jobs(m, jobs, 0, l, h, via);
  if (pg_run_jobs(m, jobs, n, c->n - from, many, thread, threads) || barrier(c, thread)) return 1;
  n = down_jobs(m, jobs, l, from, via);
  return pg_run_jobs(m, jobs, n, c->n - from, many, thread, threads) || layer_barrier(c, thread);
}

// The last layer where not all tokens' logits are wanted: the others leave their keys and values.
static int run_last_layer(pg_chunk *c, unsigned thread, unsigned threads) {
  pg_model *m = c->m;
  const size_t layer = m->layers - 1, from = c->n - c->rows;
  const pg_layer *l = &m->layer[layer];
  const tiles none = {0};
  pg_job jobs[2 * PG_MATRICES];
  const float *h = norm_rows(c, &l->attn_norm, 0, 0, thread, threads);
  size_t n = add_jobs(jobs, 0, &l->qkv, h, m->hidden, PG_STORE, m->qkv, qkv_width(m));
  if (pg_run_jobs(m, jobs, n, c->n, c->many, thread, threads) || barrier(c, thread)) return 1;
  if (pg_attention(c, layer, from, c->many_rows, NULL, thread, threads)) return 1;
  if (!c->rows) return layer_barrier(c, thread);
  if (barrier(c, thread)) return 1;
  if (m->parallel) {
    h = norm_rows(c, l->mlp_norm.weight ? &l->mlp_norm : &l->attn_norm, 0, from, thread, threads);
    n = up_jobs(m, jobs, 0, l, h, none);
    if (pg_run_jobs(m, jobs, n, c->rows, c->many_rows, thread, threads) || barrier(c, thread)) return 1;
  }
  n = out_jobs(m, jobs, l, from, none);
  if (pg_run_jobs(m, jobs, n, c->rows, c->many_rows, thread, threads)) return 1;
  if (m->parallel) return layer_barrier(c, thread);
  return barrier(c, thread) || run_mlp(c, l, from, c->many_rows, none, thread, threads);
}

static int run_layer(pg_chunk *c, size_t layer, unsigned thread, unsigned threads) {
  pg_model *m = c->m;
  if (layer + 1 == m->layers && (c->rows < c->n || c->many != c->many_rows)) return run_last_layer(c, thread, threads);
  const pg_layer *l = &m->layer[layer];
  const tiles via = tiles_of(c, l);
  pg_job jobs[2 * PG_MATRICES];
  const float *h = norm_rows(c, &l->attn_norm, 0, 0, thread, threads), *h2 = h;
  if (m->parallel && l->mlp_norm.weight) h2 = norm_rows(c, &l->mlp_norm, 1, 0, thread, threads);
  size_t n = add_jobs(jobs, 0, &l->qkv, h, m->hidden, PG_STORE, m->qkv, qkv_width(m));
  if (m->parallel) n = up_jobs(m, jobs, n, l, h2, via);
  if (pg_run_jobs(m, jobs, n, c->n, c->many, thread, threads) || barrier(c, thread)) return 1;
  if (pg_attention(c, layer, 0, c->many, via.attn, thread, threads) || barrier(c, thread)) return 1;
  n = out_jobs(m, jobs, l, 0, via);
  if (pg_run_jobs(m, jobs, n, c->n, c->many, thread, threads)) return 1;
  if (m->parallel) return layer_barrier(c, thread);
  return barrier(c, thread) || run_mlp(c, l, 0, c->many, via, thread, threads);
}

size_t pg_layer_acts_bytes(pg_model *m, size_t layer, size_t rows, int many) {
  const tiles none = {0};
  const pg_layer *l = &m->layer[layer];
  pg_job jobs[2 * PG_MATRICES];
  const float *h2 = l->mlp_norm.weight ? m->norm + m->hidden : m->norm;
  size_t n = add_jobs(jobs, 0, &l->qkv, m->norm, m->hidden, PG_STORE, m->qkv, qkv_width(m));
  if (m->parallel) n = up_jobs(m, jobs, n, l, h2, none);
  size_t most = pg_acts_bytes(m, jobs, n, rows, many);
  size_t sizes[3] = {0};
  sizes[0] = pg_acts_bytes(m, jobs, out_jobs(m, jobs, l, 0, none), rows, many);
  sizes[1] = pg_acts_bytes(m, jobs, up_jobs(m, jobs, 0, l, h2, none), rows, many);
  sizes[2] = pg_acts_bytes(m, jobs, down_jobs(m, jobs, l, 0, none), rows, many);
  for (int i = 0; i < 3; i++)
    if (sizes[i] > most) most = sizes[i];
  return most;
}

static void embed(pg_model *m, float *x, size_t id, uint8_t *room) {
  if (!pg_needs_window(m->embed, id / PG_OCTET + 1)) {
    pg_unpack_row(x, m->embed, id);
    return;
  }
  pg_matrix octet = pg_window(m->embed, id / PG_OCTET, id / PG_OCTET + 1, room);
  pg_unpack_row(x, &octet, id % PG_OCTET);
}

static void run_chunk(void *arg, unsigned thread, unsigned threads) {
  pg_chunk *c = arg;
  pg_model *m = c->m;
  int stop = 0;
  for (size_t t = pg_share(c->n, thread, threads); t < pg_share(c->n, thread + 1, threads); t++)
    embed(m, m->x + t * m->hidden, (size_t)c->tokens[t], m->scratch[thread].window);
  stop = barrier(c, thread);
  for (size_t l = 0; l < m->layers && !stop; l++) {
    stop = run_layer(c, l, thread, threads);
    threads = pg_pool_active(m->pool);
    if (thread >= threads) return;
  }
  if (!stop && c->rows) stop = pg_output(c, thread, threads);
  if (thread == 0) c->status = stop ? PG_CANCELLED : PG_OK;
}

int pg_forward(pg_model *m, const int32_t *tokens, size_t n, size_t pos, const float *cos, const float *sin, size_t rows,
               float *logits, pg_candidate *top, size_t k, float *logsum) {
  size_t done = 0, first = n - rows; // the first token with logits
  const size_t chunks = (n + m->chunk - 1) / m->chunk;
  pg_candidate *found = NULL;
  if (k && rows) {
    found = malloc(pg_pool_threads(m->pool) * (rows < m->chunk ? rows : m->chunk) * k * sizeof *found);
    if (!found) return PG_NO_MEMORY;
  }
  int status = PG_OK;
  while (done < n && status == PG_OK) {
    size_t even = (n + chunks - 1) / chunks, len = n - done < even ? n - done : even, half = m->head_dim / 2; // no short rest
    pg_chunk c = {
        .m = m,
        .tokens = tokens + done,
        .n = len,
        .pos = pos + done,
        .cos = cos ? cos + done * half : NULL,
        .sin = sin ? sin + done * half : NULL,
        .found = found,
        .found_rows = rows < m->chunk ? rows : m->chunk,
        .many = n >= PG_BF16_ROWS,
        .many_rows = rows >= PG_BF16_ROWS,
        .k = k,
    };
    size_t end = done + len;
    if (end > first) {
      c.rows = end - first < len ? end - first : len;
      size_t row = end - c.rows - first; // of the output
      c.logits = logits ? logits + row * m->vocab : NULL;
      c.top = top ? top + row * k : NULL;
      c.logsum = logsum ? logsum + row : NULL;
    }
    pg_pool_run(m->pool, run_chunk, &c);
    status = c.status;
    done = end;
  }
  free(found);
  return status;
}

void pg_cancel(pg_model *m, int on) { atomic_store(&m->cancel, on); }
