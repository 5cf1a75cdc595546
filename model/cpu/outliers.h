// Where a single feature's codes lie in an octet, for products of outliers.
#ifndef PEREGRINE_OUTLIERS_H
#define PEREGRINE_OUTLIERS_H

#include "isa.h"

// pg_place is where. A row's code is (low >> low_shift & low_mask | (high >> high_shift & high_mask) << high_to ^ flip) - flip, for the
// row's dwords at `low` and at `high` bytes from the beginning of the octet's codes.
typedef struct pg_place {
  size_t low, high;
  int low_shift, high_shift, high_to;
  int low_mask, high_mask; // high_mask 0: the code is all in low
  int flip;                // 128 where codes are signed, else 0
  size_t block, group, half;
} pg_place;

// pg_group_of returns the group that a block belongs to.
static inline size_t pg_group_of(const pg_matrix *w, size_t block) {
  size_t lo = 0, hi = w->groups;
  if (w->single) return block;
  while (hi - lo > 1) { // the last one that begins at or before the block
    size_t mid = (lo + hi) / 2;
    if (w->group_start[mid] <= block) {
      lo = mid;
    } else {
      hi = mid;
    }
  }
  return lo;
}

// pg_place_of follows the table of layout.h.
static inline pg_place pg_place_of(const pg_matrix *w, size_t feature) {
  const size_t b = feature / PG_BLOCK, u = feature / PG_UNIT % 8, start = b * pg_block_bytes(w->bits), row = 32;
  const int j = (int)(feature % PG_UNIT) * 8, v = (int)u;
  pg_place p = {.low = start, .high = start, .low_shift = j, .high_shift = j, .block = b, .group = pg_group_of(w, b), .half = u / 4};
  if (w->bits == 8) {
    p.low += row * u;
    p.low_mask = 255;
    p.flip = 128;
  } else if (w->bits >= 4) {
    p.low += row * (u % 4);
    p.low_shift += v / 4 * 4;
    p.low_mask = 15;
  } else {
    p.low += row * (u / 4);
    p.low_shift += v % 4 * 2;
    p.low_mask = 3;
  }
  if (w->bits == 6) {
    p.high += row * (4 + u / 4);
    p.high_shift += v % 4 * 2;
    p.high_mask = 3;
    p.high_to = 4;
  } else if (w->bits == 3 || w->bits == 5) {
    p.high_to = w->bits - 1;
    p.high += row * (size_t)p.high_to; // v2 of 3 bits, v4 of 5
    p.high_shift += v;
    p.high_mask = 1;
  }
  return p;
}

// pg_columns are weights of some features, which the tokens of a prompt mostly share: those of a feature that stood here are found again.
typedef struct pg_columns {
  uint32_t feature[PG_COLUMNS]; // or PG_NO_FEATURE
  float *w;                     // [PG_COLUMNS][PG_COLUMN_OCTETS][8]
} pg_columns;

#define PG_NO_FEATURE UINT32_MAX

// pg_no_columns makes c hold nothing.
static inline void pg_no_columns(pg_columns *c, float *room) {
  for (size_t i = 0; i < PG_COLUMNS; i++) c->feature[i] = PG_NO_FEATURE;
  c->w = room;
}

// pg_column_for returns the place of a feature's weights, and in known whether they are there.
static inline float *pg_column_for(pg_columns *c, uint32_t feature, int *known) {
  const uint32_t i = (feature * 2654435761u) >> 26; // Fibonacci hashing
  _Static_assert(PG_COLUMNS == 64, "the shift");
  *known = c->feature[i] == feature;
  c->feature[i] = feature;
  return c->w + (size_t)i * PG_COLUMN_OCTETS * PG_OCTET;
}

#endif
