// Linear layers: preparing inputs (gather, quantise), splitting the work, products, epilogues.
#include "forward.h"

#include <math.h>
#include <string.h>

// What inputs are prepared as.
enum form { FLOAT, INT8, BF16 };

// act is one prepared input: rows of a source, gathered by a matrix's order of features. Of one of INT8, outliers stay float32. A fine one
// has none, and two rows for a token: it rounded to int8, and what that left, rounded again. Their products with the weights are added in
// the end.
typedef struct act {
  const float *src;
  size_t lds;
  const int32_t *perm;
  size_t padded, blocks;
  enum form form;
  const uint16_t *ready; // BF16: somebody else has prepared it; else NULL
  size_t per;   // rows of a token: 2 when fine, else 1
  int8_t *q;    // INT8: [tiles][blocks][tile's rows][32]
  float *d, *s; // INT8: [tiles][blocks][tile's rows]
  int16_t *h;   // INT8: [tiles][blocks][tile's rows][2]
  pg_outlier *o; // INT8, not fine: [rows][supers + 1], behind a row's last one zero
  uint16_t *b;  // BF16: [tiles][blocks][PG_BF16_TILE][32]
  float *f;     // FLOAT: [rows][ldf]; the source itself when nothing moves
  size_t ldf;
} act;

enum { MAX_ACTS = 2 * PG_MATRICES };

static size_t align64(size_t n) { return (n + 63) / 64 * 64; }

int pg_takes_bf16(const pg_model *m, int many) { return many && m->isa->mul_bf16 && !m->precise; }

int pg_takes_ready(const pg_model *m, const pg_matrix *w, int many) {
  return pg_takes_bf16(m, many) && !w->perm && w->in == w->padded && w->in % PG_BLOCK == 0;
}

// The form that a matrix takes inputs in.
static enum form form_of(const pg_model *m, const pg_matrix *w, int many) {
  if (pg_takes_bf16(m, many)) return BF16;
  return w->bits && !m->precise ? INT8 : FLOAT;
}

// Rows of whole tiles of bfloat16.
static size_t whole_tiles(size_t rows) { return (rows + PG_BF16_TILE - 1) / PG_BF16_TILE * PG_BF16_TILE; }

// The room for a row's outliers.
static size_t outliers_of(const act *x) { return pg_supers(x->blocks) + 1; }

// Collects the distinct inputs of jobs into acts and cuts their memory from buf (NULL: count only). Returns the bytes.
static size_t plan(const pg_model *m, act *acts, size_t *count, pg_job *jobs, size_t n, size_t rows, int many, uint8_t *buf) {
  size_t used = 0, have = 0;
  for (size_t j = 0; j < n; j++) {
    for (int i = 0; i < 2 && jobs[j].w[i]; i++) {
      const pg_matrix *w = jobs[j].w[i];
      const uint16_t *ready = jobs[j].ready[i];
      enum form form = form_of(m, w, many);
      size_t per = form == INT8 && jobs[j].fine ? 2 : 1;
      size_t a = 0;
      for (; a < have; a++)
        if (acts[a].src == jobs[j].src[i] && acts[a].ready == ready && acts[a].perm == w->perm && acts[a].padded == w->padded && acts[a].form == form &&
            acts[a].per == per)
          break;
      jobs[j].act[i] = (int)a;
      if (a < have) continue;
      act *x = &acts[have++];
      *x = (act){.src = jobs[j].src[i], .lds = jobs[j].lds[i], .perm = w->perm, .padded = w->padded, .form = form, .per = per, .ready = ready};
      x->blocks = (w->padded + PG_BLOCK - 1) / PG_BLOCK;
      if (ready) {
        x->b = (uint16_t *)(uintptr_t)ready; // read only
        continue;
      }
      uint8_t *at = buf ? buf + used : NULL;
      if (form == INT8) {
        size_t codes = align64(per * rows * x->padded), floats = align64(per * rows * x->blocks * sizeof(float));
        size_t outliers = per == 1 ? align64(rows * outliers_of(x) * sizeof *x->o) : 0;
        if (buf) {
          x->q = (int8_t *)at;
          x->d = (float *)(at + codes);
          x->s = (float *)(at + codes + floats);
          x->h = (int16_t *)(at + codes + 2 * floats); // two take a float's room
          x->o = outliers ? (pg_outlier *)(at + codes + 3 * floats) : NULL;
        }
        used += codes + 3 * floats + outliers;
      } else if (form == BF16) {
        x->b = (uint16_t *)at;
        used += align64(whole_tiles(rows) * x->blocks * PG_BLOCK * sizeof *x->b);
      } else if (w->perm || w->padded != w->in) {
        x->f = (float *)at;
        x->ldf = x->padded;
        used += align64(rows * x->padded * sizeof(float));
      } else {
        x->f = (float *)(uintptr_t)x->src; // read only
        x->ldf = x->lds;
      }
    }
  }
  *count = have;
  return used;
}

size_t pg_acts_bytes(const pg_model *m, pg_job *jobs, size_t n, size_t rows, int many) {
  act acts[MAX_ACTS];
  size_t count;
  return plan(m, acts, &count, jobs, n, rows, many, NULL);
}

static void gather(float *dst, const float *src, const int32_t *perm, size_t n) {
  for (size_t i = 0; i < n; i++) dst[i] = perm[i] < 0 ? 0 : src[perm[i]];
}

// The tokens of the tile that begins at token start of so many, with at most `most`.
static size_t tile_tokens(size_t most, size_t start, size_t tokens) { return tokens - start < most ? tokens - start : most; }

// Rounds n blocks of row r of `rows` of an integer input, from block b on. rest[n * 32], if any, gets what rounding left; peak: as
// quantise has it.
static void round_blocks(const pg_model *m, const act *x, size_t r, size_t rows, size_t b, size_t n, const float *v, float *rest,
                         pg_peak *peak) {
  const size_t most = m->isa->tile, start = r / most * most, stride = tile_tokens(most, start, rows);
  const size_t at = start * x->blocks + b * stride + (r - start);
  m->isa->quantise(x->q + at * PG_BLOCK, x->d + at, x->s + at, x->h + 2 * at, v, n, stride, peak);
  for (size_t k = 0; k < n && rest; k++) {
    const int8_t *q = x->q + (at + k * stride) * PG_BLOCK;
    const float d = x->d[at + k * stride];
    for (size_t i = 0; i < PG_BLOCK; i++) rest[k * PG_BLOCK + i] = v[k * PG_BLOCK + i] - d * (float)q[i];
  }
}

// Prepares token t of an input in strips, so that room can be small: PG_CHUNK_K floats.
static void prepare_bf16(const pg_model *m, const act *x, size_t t, float *room) {
  const float *src = x->src + t * x->lds;
  uint16_t *to = pg_bf16_at(x->b, x->blocks, t, 0);
  if (!x->perm) {
    m->isa->to_bf16(to, src, x->padded);
    return;
  }
  for (size_t k = 0; k < x->padded; k += PG_CHUNK_K) {
    size_t n = x->padded - k < PG_CHUNK_K ? x->padded - k : PG_CHUNK_K;
    gather(room, src, x->perm + k, n);
    m->isa->to_bf16(to + k * PG_BF16_TILE, room, n);
  }
}

// A block of a source.
static void gather_block(float v[PG_BLOCK], const act *x, const float *src, size_t b) {
  if (x->perm)
    gather(v, src, x->perm + b * PG_BLOCK, PG_BLOCK);
  else
    memcpy(v, src + b * PG_BLOCK, PG_BLOCK * sizeof *v);
}

// An outlier is what makes up so much of the squares of all blocks' greatest features, and so of what rounding leaves. README.md, "Modes".
#define PG_OUTLIER_SHARE 0.1f

// Takes the greatest feature out of each block that pays and rounds the block once more. o has the peak of each super, {gain, block}, and
// gets the outliers and a zero behind them. squares: of all blocks.
static void take_outliers(const pg_model *m, const act *x, size_t t, size_t tokens, const float *src, pg_outlier *o, float squares) {
  pg_outlier *to = o;
  for (size_t i = 0; i < pg_supers(x->blocks); i++) {
    if (!(o[i].x > PG_OUTLIER_SHARE * squares)) continue;
    const size_t b = o[i].feature;
    float v[PG_BLOCK];
    size_t at = 0;
    gather_block(v, x, src, b);
    for (size_t k = 1; k < PG_BLOCK; k++)
      if (fabsf(v[k]) > fabsf(v[at])) at = k;
    *to++ = (pg_outlier){v[at], (uint32_t)(b * PG_BLOCK + at)};
    v[at] = 0;
    round_blocks(m, x, t, tokens, b, 1, v, NULL, NULL);
  }
  *to = (pg_outlier){0};
}

// The same for int8, of `tokens`; room holds 2 * ROOM floats.
static void prepare_int8(const pg_model *m, const act *x, size_t t, size_t tokens, float *room) {
  enum { ROOM = PG_SUPER * PG_BLOCK };
  _Static_assert(2 * ROOM <= PG_FLOAT_OCTETS * PG_CHUNK_K * PG_OCTET, "room is what mul_float decodes into");
  _Static_assert(PG_COLUMNS * PG_COLUMN_OCTETS <= PG_FLOAT_OCTETS * PG_CHUNK_K, "that of add_outliers too");
  const float *src = x->src + t * x->lds;
  pg_outlier *o = x->o ? x->o + t * outliers_of(x) : NULL;
  float squares = 0;
  for (size_t b = 0; b < x->blocks; b += PG_SUPER) {
    size_t n = x->blocks - b < PG_SUPER ? x->blocks - b : PG_SUPER;
    const float *v = src + b * PG_BLOCK;
    if (x->perm) {
      gather(room, src, x->perm + b * PG_BLOCK, n * PG_BLOCK);
      v = room;
    }
    float *rest = x->per == 2 ? room + ROOM : NULL;
    pg_peak peak;
    round_blocks(m, x, x->per * t, x->per * tokens, b, n, v, rest, &peak);
    if (rest) round_blocks(m, x, 2 * t + 1, 2 * tokens, b, n, rest, NULL, NULL);
    if (o) o[b / PG_SUPER] = (pg_outlier){peak.gain, (uint32_t)b + peak.block};
    squares += peak.squares;
  }
  if (o) take_outliers(m, x, t, tokens, src, o, squares);
}

static void prepare(const pg_model *m, const act *x, size_t t, size_t tokens, float *room) {
  if (x->form == INT8)
    prepare_int8(m, x, t, tokens, room);
  else if (x->form == BF16)
    prepare_bf16(m, x, t, room);
  else if (x->f != x->src)
    gather(x->f + t * x->ldf, x->src + t * x->lds, x->perm, x->padded);
}

// y[n][ld] = x . W^T for tokens t0..t0+n of so many and octets lo..hi; y has room for all rows of the input.
static void multiply(const pg_model *m, float *y, size_t ld, const pg_matrix *w, const act *x, size_t lo, size_t hi, size_t t0,
                     size_t n, size_t tokens, float *room) {
  if (x->form == FLOAT) {
    m->isa->mul_float(y, ld, w, lo, hi, x->f + t0 * x->ldf, x->ldf, n, room);
    return;
  }
  if (x->form == BF16) {
    m->isa->mul_bf16(y, ld, w, lo, hi, x->b + t0 * x->blocks * PG_BLOCK, n);
    return;
  }
  const size_t first = x->per * t0, end = x->per * (t0 + n);
  for (size_t r = first; r < end; r += m->isa->tile) {
    pg_tile tile = {.tokens = tile_tokens(m->isa->tile, r, x->per * tokens)};
    tile.stride = tile.tokens;
    tile.q = x->q + r * x->blocks * PG_BLOCK;
    tile.d = x->d + r * x->blocks;
    tile.s = x->s + r * x->blocks;
    tile.h = x->h + 2 * r * x->blocks;
    m->isa->mul_int(y + (r - first) * ld, ld, w, lo, hi, &tile);
  }
  if (x->o) m->isa->add_outliers(y, ld, w, lo, hi, x->o + t0 * outliers_of(x), outliers_of(x), n, room);
  for (size_t t = 0; t < n && x->per == 2; t++) {
    m->isa->add(y + 2 * t * ld, y + (2 * t + 1) * ld, ld);
    if (t) memcpy(y + t * ld, y + 2 * t * ld, ld * sizeof *y);
  }
}

// Moves rows t0..t0+rows of the tiles to their place: columns from 8*lo, at most to the end of the matrix. With y16 these are whole
// blocks.
static void finish(const pg_model *m, const pg_job *job, float *tile[2], size_t ld, size_t lo, size_t hi, size_t t0, size_t rows) {
  size_t c0 = lo * PG_OCTET, c1 = hi * PG_OCTET < job->w[0]->out ? hi * PG_OCTET : job->w[0]->out, n = c1 - c0;
  for (size_t t = 0; t < rows; t++) {
    float *v = tile[0] + t * ld, *u = tile[1] + t * ld, *y = job->y + (t0 + t) * job->ldy + c0;
    if (job->bias[0]) m->isa->add(v, job->bias[0] + c0, n);
    if (job->w[1] && job->bias[1]) m->isa->add(u, job->bias[1] + c0, n);
    switch (job->epilogue) {
    case PG_ADD:
      m->isa->add(y, v, n);
      if (job->w[1]) m->isa->add(y, u, n);
      continue;
    case PG_GELU:
      m->isa->gelu(v, n);
      break;
    case PG_SILU:
      m->isa->silu_mul(v, u, n);
      break;
    case PG_STORE:
      break;
    }
    if (job->y16)
      m->isa->to_bf16(pg_bf16_at(job->y16, job->w[0]->out / PG_BLOCK, t0 + t, c0 / PG_BLOCK), v, n);
    else
      memcpy(y, v, n * sizeof *y);
  }
}

// How many octets fit into a tile of that many rows: whole panels of mul_float where some fit, so that none of its calls is narrow, and
// at least what mul_bf16 multiplies at once.
static size_t tile_octets(size_t rows) {
  size_t n = PG_TILE_FLOATS / (PG_OCTET * rows);
  return n >= 60 ? 60 : n >= 12 ? n / 12 * 12 : n > PG_BF16_OCTETS ? n - n % PG_FLOAT_OCTETS : n;
}

static size_t octet_cost(const pg_job *job) {
  return pg_octet_cost(job->w[0]) + (job->w[1] ? pg_octet_cost(job->w[1]) : 0);
}

enum {
  ITEM_BYTES = 128 << 10, // weights that stay in the second-level cache while all tokens pass
  PAIR = 2,               // octets that the mul_int of many sets takes together
};

// The most octets of a window: of w or of another matrix beside it.
static size_t window_octets(const pg_isa *isa, size_t cost) {
  size_t fit = ITEM_BYTES / cost;
  return fit > isa->octets ? fit - fit % isa->octets : isa->octets;
}

size_t pg_window_room(const pg_isa *isa, const pg_matrix *w) {
  return pg_window_bytes(w, window_octets(isa, pg_octet_cost(w)));
}

// Octets lo..hi of a job for tokens t0..t1 of so many; t0 is the beginning of a tile.
static void run_range(pg_model *m, const pg_job *job, const act *acts, size_t lo, size_t hi, size_t t0, size_t t1, size_t tokens,
                      pg_scratch *s) {
  int wide = 0, bf16 = 0, integer = 0, outliers = 0, early = 0; // wide: many tokens at once; early: not repacked yet
  size_t per = 1;
  for (int i = 0; i < 2 && job->w[i]; i++) {
    const act *x = &acts[job->act[i]];
    wide |= x->form != INT8 || x->o;
    integer |= x->form == INT8;
    outliers |= x->o != NULL;
    bf16 |= x->form == BF16;
    early |= pg_needs_window(job->w[i], hi);
    if (x->per > per) per = x->per;
  }
  size_t at_once = bf16 ? PG_BF16_MOST : wide ? PG_CHUNK : m->isa->tile / per;
  if (at_once > t1 - t0) at_once = t1 - t0;
  size_t step = tile_octets(bf16 ? whole_tiles(at_once) : per * at_once), cached = ITEM_BYTES / octet_cost(job);
  if (bf16) step -= step % PG_BF16_OCTETS; // at least as many fit
  // What is read again, for the next tile of tokens or for outliers, should be in the cache still.
  const size_t least = m->isa->octets > PAIR ? m->isa->octets : PAIR;
  if ((at_once < t1 - t0 || outliers) && step > cached) step = cached > least ? cached : least;
  if (integer) step -= step % PAIR;
  if (early && step > window_octets(m->isa, octet_cost(job))) step = window_octets(m->isa, octet_cost(job));
  float *tile[2] = {s->tile, s->tile + PG_TILE_FLOATS};
  for (size_t o = lo; o < hi; o += step) {
    size_t end = o + step < hi ? o + step : hi, ld = (end - o) * PG_OCTET;
    pg_matrix window[2];
    for (int i = 0; i < 2 && job->w[i]; i++)
      if (pg_needs_window(job->w[i], end)) window[i] = pg_window(job->w[i], o, end, s->window + (size_t)i * m->window);
    for (size_t t = t0; t < t1; t += at_once) {
      size_t n = t1 - t < at_once ? t1 - t : at_once;
      for (int i = 0; i < 2 && job->w[i]; i++) {
        int from_window = pg_needs_window(job->w[i], end);
        multiply(m, tile[i], ld, from_window ? &window[i] : job->w[i], &acts[job->act[i]], from_window ? 0 : o,
                 from_window ? end - o : end, t, n, tokens, s->decode);
      }
      finish(m, job, tile, ld, o, end, t, n);
    }
  }
}

// The octets whose first byte is one of from..to, counted through the weights of all jobs, one after the other.
static void run_span(pg_model *m, pg_job *jobs, size_t n, const act *acts, size_t rows, size_t from, size_t to, pg_scratch *s) {
  size_t start = 0;
  for (size_t j = 0; j < n && start < to; j++) {
    size_t cost = octet_cost(&jobs[j]), octets = jobs[j].w[0]->octets;
    size_t lo = from > start ? (from - start + cost - 1) / cost : 0, hi = (to - start + cost - 1) / cost;
    if (hi > octets) hi = octets;
    if (lo < hi) run_range(m, &jobs[j], acts, lo, hi, 0, rows, rows, s);
    start += cost * octets;
  }
}

// One contiguous stripe per thread, by bytes: decoding is a matter of memory. Cores do not get equal shares of it, so half of long
// stripes is cut small and taken by whoever is done.
static void run_stripes(pg_model *m, pg_job *jobs, size_t n, const act *acts, size_t rows, unsigned thread, unsigned threads) {
  enum {
    LONG = 1 << 20,    // bytes of a stripe from which on sharing pays
    PIECE = 256 << 10, // bytes of what is taken at once
    PART = 2,          // of the weights that are shared: one of so many
  };
  size_t total = 0;
  for (size_t j = 0; j < n; j++) total += octet_cost(&jobs[j]) * jobs[j].w[0]->octets;
  size_t own = threads > 1 && total / threads >= LONG ? total - total / PART : total;
  run_span(m, jobs, n, acts, rows, pg_share(own, thread, threads), pg_share(own, thread + 1, threads), &m->scratch[thread]);
  if (own == total) return;
  for (size_t at = own + PIECE * pg_next(m->pool); at < total; at = own + PIECE * pg_next(m->pool))
    run_span(m, jobs, n, acts, rows, at, at + PIECE < total ? at + PIECE : total, &m->scratch[thread]);
}

// Tokens of an item: whole tiles of every set. Few where there are few octets for each thread. With bfloat16 weights are dequantised for
// each item, so that it has as many as leave some items for each thread.
static size_t item_tokens(const pg_job *job, size_t rows, int bf16, size_t least, size_t shares, unsigned threads) {
  enum { FEW = 64, EACH = 4 };
  const size_t octets = job->w[0]->octets;
  if (!bf16) return octets / least < shares ? FEW : PG_CHUNK;
  size_t n = PG_BF16_MOST;
  while (n > FEW && octets / least * ((rows + n - 1) / n) < EACH * (size_t)threads) n /= 2;
  return n;
}

// Items of a few octets, taken by whoever is free: a prefill is a matter of arithmetic.
static void run_items(pg_model *m, pg_job *jobs, size_t n, const act *acts, size_t rows, int many, unsigned thread, unsigned threads) {
  enum { SHARES = 16 }; // items for each thread, so that one that has lost its core holds up the others for little
  const size_t shares = SHARES * (size_t)threads;
  size_t item = pg_next(m->pool), first = 0;
  for (size_t j = 0; j < n; j++) {
    const int bf16 = form_of(m, jobs[j].w[0], many) == BF16;
    const size_t least = m->isa->octets; // take as long as one
    size_t octets = jobs[j].w[0]->octets, tokens = item_tokens(&jobs[j], rows, bf16, least, shares, threads);
    if (tokens > rows) tokens = rows;
    size_t parts = (rows + tokens - 1) / tokens, step = ITEM_BYTES / octet_cost(&jobs[j]), fair = octets * parts / shares;
    if (step > fair) step = fair;
    step -= step % (step > 6 && !bf16 ? 6 : least); // whole panels of mul_float
    if (step < least) step = least;
    size_t items = (octets + step - 1) / step * parts;
    for (; item < first + items; item = pg_next(m->pool)) {
      size_t lo = (item - first) / parts * step, hi = lo + step < octets ? lo + step : octets;
      size_t t0 = (item - first) % parts * tokens, t1 = t0 + tokens < rows ? t0 + tokens : rows;
      run_range(m, &jobs[j], acts, lo, hi, t0, t1, rows, &m->scratch[thread]);
    }
    first += items;
  }
}

int pg_run_jobs(pg_model *m, pg_job *jobs, size_t n, size_t rows, int many, unsigned thread, unsigned threads) {
  act acts[MAX_ACTS];
  size_t count, prepared = 0;
  pg_scratch *s = &m->scratch[thread];
  int small = rows <= PG_SMALL;
  plan(m, acts, &count, jobs, n, rows, many, small ? s->acts : m->acts);
  size_t lo = small ? 0 : pg_share(rows, thread, threads), hi = small ? rows : pg_share(rows, thread + 1, threads);
  for (size_t a = 0; a < count; a++) {
    if (acts[a].ready) continue;
    prepared++;
    for (size_t r = lo; r < hi; r++) prepare(m, &acts[a], r, rows, s->decode);
  }
  if (small) {
    run_stripes(m, jobs, n, acts, rows, thread, threads);
    return 0;
  }
  if (prepared && pg_barrier(m->pool, thread, &m->cancel)) return 1;
  run_items(m, jobs, n, acts, rows, many, thread, threads);
  return 0;
}
