// The end of a forward pass: final norm, logits, the best candidates and the logarithm of the sum of exponentials.
#include "forward.h"

#include <math.h>
#include <string.h>

// Higher logit first, lower id among equals; NaN counts as minus infinity.
static float key(float x) { return x == x ? x : -INFINITY; }

static int before(pg_candidate a, pg_candidate b) {
  float x = key(a.logit), y = key(b.logit);
  return x > y || (x == y && a.id < b.id);
}

// Sinks element i of a heap whose root comes last in the order.
static void sink(pg_candidate *h, size_t n, size_t i) {
  for (;;) {
    size_t worst = i, l = 2 * i + 1, r = l + 1;
    if (l < n && before(h[worst], h[l])) worst = l;
    if (r < n && before(h[worst], h[r])) worst = r;
    if (worst == i) return;
    pg_candidate t = h[i];
    h[i] = h[worst];
    h[worst] = t;
    i = worst;
  }
}

// The best min(k, hi - lo) of logits[lo..hi) as a heap; returns how many.
static size_t select_best(pg_candidate *heap, size_t k, const float *logits, size_t lo, size_t hi) {
  size_t n = hi - lo < k ? hi - lo : k;
  for (size_t i = 0; i < n; i++) heap[i] = (pg_candidate){(int32_t)(lo + i), logits[lo + i]};
  for (size_t i = n / 2; i-- > 0;) sink(heap, n, i);
  for (size_t i = lo + n; i < hi; i++) {
    if (!(logits[i] > key(heap[0].logit))) continue; // ids ascend: an equal one comes after
    heap[0] = (pg_candidate){(int32_t)i, logits[i]};
    sink(heap, n, 0);
  }
  return n;
}

// Merges the threads' heaps of one row into top[k], in order. Each heap is sorted in place first.
static void merge_best(const pg_chunk *c, pg_candidate *top, size_t row, unsigned threads) {
  size_t vocab = c->m->vocab, k = c->k;
  for (unsigned t = 0; t < threads; t++) {
    pg_candidate *h = c->found + ((size_t)t * c->found_rows + row) * k;
    size_t n = pg_share(vocab, t + 1, threads) - pg_share(vocab, t, threads);
    if (n > k) n = k;
    for (size_t i = n; i-- > 1;) { // heap sort: the last of the order goes to the end
      pg_candidate worst = h[0];
      h[0] = h[i];
      h[i] = worst;
      sink(h, i, 0);
    }
  }
  size_t next[threads];
  memset(next, 0, sizeof next);
  for (size_t i = 0; i < k; i++) {
    const pg_candidate *best = NULL;
    unsigned from = 0;
    for (unsigned t = 0; t < threads; t++) {
      size_t n = pg_share(vocab, t + 1, threads) - pg_share(vocab, t, threads);
      if (next[t] >= (n < k ? n : k)) continue;
      const pg_candidate *h = c->found + ((size_t)t * c->found_rows + row) * k + next[t];
      if (!best || before(*h, *best)) best = h, from = t;
    }
    top[i] = *best;
    next[from]++;
  }
}

static size_t vocab_segments(const pg_model *m) { return (m->vocab + PG_VOCAB_SEGMENT - 1) / PG_VOCAB_SEGMENT; }

// Maximum and sum of exponentials of each segment of the rows' logits.
static void partial_sums(pg_chunk *c, const float *logits, size_t row0, size_t rows, unsigned thread, unsigned threads) {
  pg_model *m = c->m;
  size_t segs = vocab_segments(m), all = rows * segs;
  float *room = m->scratch[thread].exps;
  for (size_t i = pg_share(all, thread, threads); i < pg_share(all, thread + 1, threads); i++) {
    size_t row = i / segs, lo = i % segs * PG_VOCAB_SEGMENT, n = m->vocab - lo < PG_VOCAB_SEGMENT ? m->vocab - lo : PG_VOCAB_SEGMENT;
    memcpy(room, logits + row * m->vocab + lo, n * sizeof *room);
    float *out = m->partial_sums + ((row0 + row) * segs + i % segs) * 2;
    out[0] = m->isa->max(room, n);
    out[1] = m->isa->sum_exp(room, out[0], n);
  }
}

static float log_sum(const pg_model *m, size_t row) {
  size_t segs = vocab_segments(m);
  const float *p = m->partial_sums + row * segs * 2;
  float top = -INFINITY;
  for (size_t i = 0; i < segs; i++)
    if (p[2 * i] > top) top = p[2 * i];
  double sum = 0;
  for (size_t i = 0; i < segs; i++) sum += (double)p[2 * i + 1] * exp((double)p[2 * i] - top);
  return (float)(top + log(sum));
}

int pg_output(pg_chunk *c, unsigned thread, unsigned threads) {
  pg_model *m = c->m;
  size_t first = c->n - c->rows, batch = c->logits ? c->rows : PG_SMALL;
  for (size_t row = 0; row < c->rows; row += batch) {
    size_t n = c->rows - row < batch ? c->rows - row : batch, h = m->hidden;
    float *logits = c->logits ? c->logits + row * m->vocab : m->logits, *to = m->norm;
    int small = n <= PG_SMALL;
    if (small) to = m->scratch[thread].norm;
    size_t lo = small ? 0 : pg_share(n, thread, threads), hi = small ? n : pg_share(n, thread + 1, threads);
    for (size_t t = lo; t < hi; t++)
      m->isa->norm(to + t * h, m->x + (first + row + t) * h, m->final_norm.weight, m->final_norm.bias, h, m->eps);
    pg_job job = {.w = {m->head}, .src = {to}, .lds = {h}, .epilogue = PG_STORE, .fine = 1, .y = logits, .ldy = m->vocab};
    if (pg_run_jobs(m, &job, 1, n, c->logits && c->many_rows, thread, threads) || pg_barrier(m->pool, thread, &m->cancel)) return 1;
    for (size_t r = 0; r < n && c->top; r++)
      select_best(c->found + ((size_t)thread * c->found_rows + row + r) * c->k, c->k, logits + r * m->vocab,
                  pg_share(m->vocab, thread, threads), pg_share(m->vocab, thread + 1, threads));
    if (c->logsum) partial_sums(c, logits, row, n, thread, threads);
    if (pg_barrier(m->pool, thread, &m->cancel)) return 1; // logits may be overwritten from here on
  }
  for (size_t r = thread; r < c->rows; r += threads) {
    if (c->top) merge_best(c, c->top + r * c->k, r, threads);
    if (c->logsum) c->logsum[r] = log_sum(m, r);
  }
  return 0;
}
