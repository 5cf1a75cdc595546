// Single kernels for tests and benchmarks, and the read bandwidth.
#include "model.h"

#include <stdlib.h>

typedef struct multiply_task {
  pg_model m;
  pg_job job;
  size_t rows;
} multiply_task;

static void multiply(void *arg, unsigned thread, unsigned threads) {
  multiply_task *t = arg;
  pg_job job = t->job; // every thread plans its own
  pg_run_jobs(&t->m, &job, 1, t->rows, t->rows >= PG_BF16_ROWS, thread, threads);
}

int pg_probe_multiply(pg_pool *pool, const pg_isa *isa, int precise, int fine, const pg_matrix *w, float *y, const float *x, size_t rows) {
  unsigned threads = pg_pool_threads(pool);
  multiply_task t = {
      .m = {.isa = isa, .pool = pool, .precise = precise},
      .job = {.w = {w}, .src = {x}, .lds = {w->in}, .fine = fine, .epilogue = PG_STORE, .y = y, .ldy = w->out},
      .rows = rows,
  };
  size_t acts = pg_acts_bytes(&t.m, &t.job, 1, rows, rows >= PG_BF16_ROWS) + 64, floats = 2 * PG_TILE_FLOATS + PG_FLOAT_OCTETS * PG_CHUNK_K * PG_OCTET;
  acts = (acts + 63) / 64 * 64;
  size_t each = floats * sizeof(float) + acts;
  uint8_t *memory = aligned_alloc(64, acts + each * threads);
  t.m.scratch = calloc(threads, sizeof *t.m.scratch);
  if (memory && t.m.scratch) {
    t.m.acts = memory;
    for (unsigned i = 0; i < threads; i++) {
      uint8_t *at = memory + acts + i * each;
      t.m.scratch[i].acts = at;
      t.m.scratch[i].tile = (float *)(at + acts);
      t.m.scratch[i].decode = t.m.scratch[i].tile + 2 * PG_TILE_FLOATS;
    }
    pg_pool_run(pool, multiply, &t);
  }
  int status = memory && t.m.scratch ? PG_OK : PG_NO_MEMORY;
  free(memory);
  free(t.m.scratch);
  return status;
}

typedef struct read_task {
  const pg_isa *isa;
  const uint8_t *p;
  size_t n;
  atomic_uint_fast64_t sum;
} read_task;

static void read_share(void *arg, unsigned thread, unsigned threads) {
  read_task *t = arg;
  size_t lo = pg_share(t->n / 4096, thread, threads) * 4096, hi = pg_share(t->n / 4096, thread + 1, threads) * 4096;
  atomic_fetch_xor(&t->sum, t->isa->read(t->p + lo, hi - lo));
}

uint64_t pg_probe_read(pg_pool *pool, const pg_isa *isa, const uint8_t *p, size_t n) {
  read_task t = {.isa = isa, .p = p, .n = n};
  pg_pool_run(pool, read_share, &t);
  return atomic_load(&t.sum);
}

void pg_probe_map(const pg_isa *isa, int function, float *x, size_t n) {
  if (function == 0) {
    isa->gelu(x, n);
  } else if (function == 1) {
    static const float one[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    for (size_t i = 0; i < n; i += 8) isa->silu_mul(x + i, one, n - i < 8 ? n - i : 8);
  } else if (function == 2) {
    isa->sum_exp(x, 0, n);
  } else {
    uint16_t h;
    for (size_t i = 0; i < n; i++) {
      isa->to_half(&h, x + i, 1);
      x[i] = pg_f16_to_f32(h);
    }
  }
}

typedef struct barrier_task {
  pg_pool *pool;
  size_t n;
  atomic_uint done;
} barrier_task;

static void barriers(void *arg, unsigned thread, unsigned threads) {
  barrier_task *t = arg;
  (void)threads;
  for (size_t i = 0; i < t->n; i++) pg_barrier(t->pool, thread, NULL);
  atomic_fetch_add(&t->done, 1);
}

unsigned pg_probe_barriers(pg_pool *pool, size_t n) {
  barrier_task t = {.pool = pool, .n = n};
  pg_pool_run(pool, barriers, &t);
  return atomic_load(&t.done);
}

void pg_probe_quantise(const pg_isa *isa, int8_t *q, float *d, float *s, int16_t *h, const float *x, size_t blocks) {
  isa->quantise(q, d, s, h, x, blocks, 1, NULL);
}

void pg_probe_norm(const pg_isa *isa, float *y, const float *x, const float *w, const float *b, size_t n, float eps) {
  isa->norm(y, x, w, b, n, eps);
}

static const pg_isa *made_up(size_t i) {
  static const pg_isa list[] = {{.name = "new", .untried = 1}, {.name = "old"}};
  return i < sizeof list / sizeof *list ? &list[i] : NULL;
}

const char *pg_probe_tried(void) { return pg_isa_tried(made_up)->name; }
