// The working memory of a model, memory from the system, and repacking on all threads.
#define _GNU_SOURCE
#include "model.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { HUGE_PAGE = 2 << 20 };

static size_t whole_pages(size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return (bytes + page - 1) / page * page;
}

// Address space aligned to huge pages by hand: the kernel gives them only to aligned ranges.
static uint8_t *reserve(size_t bytes, int protection) {
  size_t keep = whole_pages(bytes), all = keep + HUGE_PAGE;
  uint8_t *p = mmap(NULL, all, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return NULL;
  uint8_t *at = (uint8_t *)(((uintptr_t)p + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
  if (at > p) munmap(p, (size_t)(at - p));
  if (at + keep < p + all) munmap(at + keep, (size_t)(p + all - (at + keep)));
  return at;
}

void *pg_map(size_t bytes) {
  uint8_t *at = reserve(bytes, PROT_READ | PROT_WRITE);
  if (at) madvise(at, whole_pages(bytes), MADV_HUGEPAGE);
  return at;
}

void *pg_map_file(int fd, size_t from, size_t bytes) {
  uint8_t *at = reserve(bytes, PROT_NONE);
  if (!at) return NULL;
  if (mmap(at, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, (off_t)from) == MAP_FAILED) {
    munmap(at, whole_pages(bytes));
    return NULL;
  }
  madvise(at, whole_pages(bytes), MADV_HUGEPAGE); // file systems that keep files in huge pages
  return at;
}

void pg_unmap(void *p, size_t bytes) {
  if (p) munmap(p, whole_pages(bytes));
}

// Floats, aligned to a cache line; NULL for none.
static float *floats(size_t n) { return aligned_alloc(64, (n * sizeof(float) + 63) / 64 * 64 + 64); }

static uint8_t *bytes(size_t n) { return aligned_alloc(64, (n + 63) / 64 * 64 + 64); }

static size_t acts_bytes(pg_model *m, size_t rows) {
  pg_job head = {.w = {m->head}, .src = {m->norm}, .lds = {m->hidden}, .fine = 1};
  size_t most = 0;
  for (int many = 0; many < 2; many++) {
    size_t n = pg_acts_bytes(m, &head, 1, rows, many);
    if (n > most) most = n;
    for (size_t l = 0; l < m->layers; l++) {
      n = pg_layer_acts_bytes(m, l, rows, many);
      if (n > most) most = n;
    }
  }
  return most;
}

// Tokens of a chunk: many threads need many for work that is shared out evenly, and fewer waits for each other, as long as it fits into
// some memory.
static size_t chunk_tokens(const pg_model *m) {
  enum { MOST = 4 * PG_CHUNK, THREADS = 4, BYTES = 64 << 20 };
  size_t floats = 3 * m->hidden + (2 * m->heads + 2 * m->kv_heads) * m->head_dim + m->ffn;
  size_t n = m->threads / THREADS * PG_CHUNK, fit = BYTES / (floats * sizeof(float)) / PG_CHUNK * PG_CHUNK;
  if (n > MOST) n = MOST;
  if (n > fit) n = fit;
  return n > PG_CHUNK ? n : PG_CHUNK;
}

static int init_scratch(pg_model *m, pg_scratch *s) {
  size_t dv = (m->head_dim + 7) / 8 * 8;
  s->tile = floats(2 * PG_TILE_FLOATS);
  s->decode = floats(PG_FLOAT_OCTETS * PG_CHUNK_K * PG_OCTET);
  s->norm = floats(2 * PG_SMALL * m->hidden);
  s->acts = bytes(acts_bytes(m, PG_SMALL));
  s->scores = floats(PG_VECTORS * PG_SEGMENT);
  s->part = floats(PG_VECTORS * (dv + 2));
  s->state = floats(pg_attention_vectors(m) * (dv + 2));
  s->exps = floats(PG_VOCAB_SEGMENT);
  s->window = m->window ? bytes(2 * m->window) : NULL;
  return pg_attention_init(m, s) && (s->window || !m->window) && s->tile && s->decode && s->norm && s->acts && s->scores && s->part && s->state && s->exps;
}

int pg_model_init(pg_model *m) {
  size_t dv = (m->head_dim + 7) / 8 * 8, heads = m->heads * PG_SMALL;
  size_t segs = (m->context + PG_SEGMENT - 1) / PG_SEGMENT, vocab_segs = (m->vocab + PG_VOCAB_SEGMENT - 1) / PG_VOCAB_SEGMENT;
  unsigned threads = m->threads = pg_pool_threads(m->pool);
  m->kv_type = m->precise ? PG_F32 : PG_F16;
  size_t chunk = m->chunk = chunk_tokens(m);
  m->x = floats(chunk * m->hidden);
  m->norm = floats(2 * chunk * m->hidden);
  m->qkv = floats(chunk * (m->heads + 2 * m->kv_heads) * m->head_dim);
  m->attn = floats(chunk * m->heads * m->head_dim);
  m->act = floats(chunk * m->ffn);
  if (pg_takes_bf16(m, 1)) {
    m->attn16 = (uint16_t *)bytes(chunk * m->heads * m->head_dim * sizeof *m->attn16);
    m->act16 = (uint16_t *)bytes(chunk * m->ffn * sizeof *m->act16);
    if (!m->attn16 || !m->act16) return PG_NO_MEMORY;
  }
  m->logits = floats(PG_SMALL * m->vocab);
  m->parts = floats(heads * segs * (dv + 2));
  m->partial_sums = floats(chunk * vocab_segs * 2);
  m->finished = calloc(heads, sizeof *m->finished);
  m->scratch = calloc(threads, sizeof *m->scratch);
  m->kv = pg_map(pg_kv_bytes(m));
  if (!m->x || !m->norm || !m->qkv || !m->attn || !m->act || !m->logits || !m->parts || !m->partial_sums || !m->finished ||
      !m->scratch || !m->kv)
    return PG_NO_MEMORY;
  m->acts = bytes(acts_bytes(m, chunk));
  if (!m->acts) return PG_NO_MEMORY;
  for (unsigned t = 0; t < threads; t++)
    if (!init_scratch(m, &m->scratch[t])) return PG_NO_MEMORY;
  return PG_OK;
}

void pg_model_free(pg_model *m) {
  float *all[] = {m->x, m->norm, m->qkv, m->attn, m->act, m->logits, m->parts, m->partial_sums};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
  free(m->acts);
  free(m->attn16);
  free(m->act16);
  free(m->finished);
  for (unsigned t = 0; m->scratch && t < m->threads; t++) {
    pg_scratch *s = &m->scratch[t];
    float *own[] = {s->tile, s->decode, s->norm, s->scores, s->part, s->state, s->exps};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) free(own[i]);
    free(s->acts);
    free(s->window);
    pg_attention_free(s);
  }
  free(m->scratch);
  pg_unmap(m->kv, m->kv ? pg_kv_bytes(m) : 0);
}

typedef struct pack_task {
  const pg_pack *p;
  size_t lo, hi;
} pack_task;

static void pack_share(void *arg, unsigned thread, unsigned threads) {
  const pack_task *t = arg;
  size_t n = t->hi - t->lo;
  pg_pack_octets(t->p, t->lo + pg_share(n, thread, threads), t->lo + pg_share(n, thread + 1, threads));
}

void pg_pack_run(pg_pool *pool, const pg_pack *p, size_t lo, size_t hi) {
  pack_task t = {p, lo, hi};
  pg_pool_run(pool, pack_share, &t);
}

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

typedef struct populate_task {
  uint8_t *p;
  size_t pages;
  atomic_int failed;
} populate_task;

static void populate_share(void *arg, unsigned thread, unsigned threads) {
  populate_task *t = arg;
  size_t page = (size_t)sysconf(_SC_PAGESIZE), lo = pg_share(t->pages, thread, threads), hi = pg_share(t->pages, thread + 1, threads);
  if (lo == hi || madvise(t->p + lo * page, (hi - lo) * page, MADV_POPULATE_READ) == 0) return;
  if (errno == EFAULT || errno == EIO || errno == EHWPOISON) {
    atomic_store(&t->failed, 1);
    return;
  }
  for (size_t i = lo; i < hi; i++) (void)*(volatile const uint8_t *)(t->p + i * page); // before Linux 5.14
}

int pg_populate(pg_pool *pool, const uint8_t *p, size_t n) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), before = (uintptr_t)p % page;
  populate_task t = {.p = (uint8_t *)(uintptr_t)(p - before), .pages = whole_pages(n + before) / page};
  pg_pool_run(pool, populate_share, &t);
  return !atomic_load(&t.failed);
}
