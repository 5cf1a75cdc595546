// Memory of a model.
#ifndef PEREGRINE_MODEL_H
#define PEREGRINE_MODEL_H

#include "forward.h"

// pg_map returns zeroed memory in huge pages where the system has them, resident only where touched. NULL: none left.
void *pg_map(size_t bytes);
void pg_unmap(void *p, size_t bytes);

// pg_map_file maps a file from a place on that is a multiple of pages, read only and aligned to huge pages. NULL: errno says why.
void *pg_map_file(int fd, size_t from, size_t bytes);

// pg_populate brings the pages of p[n] into memory and into this process's page tables, on all threads. 0: the file that is mapped there
// could not be read.
int pg_populate(pg_pool *pool, const uint8_t *p, size_t n);

// pg_pack_run is pg_pack_octets on all threads.
void pg_pack_run(pg_pool *pool, const pg_pack *p, size_t lo, size_t hi);

// probe.c: single kernels for tests and benchmarks, and the read bandwidth.

// pg_probe_multiply computes y[rows][out] = x[rows][in] . W^T as the forward pass does. Returns a pg_status.
int pg_probe_multiply(pg_pool *pool, const pg_isa *isa, int precise, int fine, const pg_matrix *w, float *y, const float *x, size_t rows);
// pg_probe_read passes over p[n] once on all threads; the value means nothing.
uint64_t pg_probe_read(pg_pool *pool, const pg_isa *isa, const uint8_t *p, size_t n);
// pg_probe_map applies one function to x[n]: 0 gelu, 1 silu(x)*1, 2 exp(x - 0), 3 to half and back.
void pg_probe_map(const pg_isa *isa, int function, float *x, size_t n);
// pg_probe_barriers runs n barriers on all threads and returns how many threads counted them all.
unsigned pg_probe_barriers(pg_pool *pool, size_t n);
void pg_probe_quantise(const pg_isa *isa, int8_t *q, float *d, float *s, int16_t *h, const float *x, size_t blocks);
void pg_probe_norm(const pg_isa *isa, float *y, const float *x, const float *w, const float *b, size_t n, float eps);
// pg_probe_tried returns which of the made-up sets "new", which is untried, and "old" pg_isa_tried takes.
const char *pg_probe_tried(void);

#endif
