// Weights that are not repacked yet: a few octets at a time are, into memory that stays in the cache, and multiplied there. That takes
// longer than reading repacked ones, but no new memory, whose clearing is most of the time that repacking takes.
#include "layout.h"

static size_t align64(size_t n) { return (n + 63) / 64 * 64; }

// The parts of a window of so many octets: where each begins, and the end.
typedef struct places {
  size_t scales, offsets, parts, end;
} places;

static places places_of(const pg_matrix *w, size_t octets) {
  places p = {.scales = align64(octets * pg_octet_bytes(w))};
  size_t floats = w->bits ? octets * w->groups * PG_OCTET : 0;
  p.offsets = p.scales + align64(floats * pg_type_size(w->type));
  p.parts = p.offsets + align64(floats * pg_offset_size(w));
  p.end = p.parts + align64(octets * pg_octet_parts(w));
  return p;
}

size_t pg_window_bytes(const pg_matrix *w, size_t octets) { return places_of(w, octets).end; }

pg_matrix pg_window(const pg_matrix *w, size_t lo, size_t hi, uint8_t *room) {
  places at = places_of(w, hi - lo);
  pg_matrix window = *w;
  window.source = NULL;
  window.octets = hi - lo;
  window.out = hi < w->octets ? window.octets * PG_OCTET : w->out - lo * PG_OCTET;
  window.codes = room;
  window.scales = room + at.scales;
  window.offsets = room + at.offsets;
  if (w->parts) window.part_bytes = room + at.parts;
  pg_pack from = *w->source;
  from.dst = &window;
  if (from.rows) {
    from.rows += lo * PG_OCTET;
  } else {
    from.src += lo * PG_OCTET * (w->bits ? w->groups * from.block : w->in * pg_type_size(w->type));
  }
  pg_pack_octets(&from, 0, window.octets);
  return window;
}
