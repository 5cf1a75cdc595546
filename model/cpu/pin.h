// Which cores there are, and threads bound to them.
#ifndef PEREGRINE_PIN_H
#define PEREGRINE_PIN_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pg_pins pg_pins;

// pg_pins_new takes the core of each of n processors: 0 to cores − 1, or −1 for a processor that is not to be used. NULL: there is
// no memory, or a core without processors.
pg_pins *pg_pins_new(const int16_t *core_of, size_t n, unsigned cores);
void pg_pins_free(pg_pins *p);
unsigned pg_pins_cores(const pg_pins *p);

// pg_pins_here returns the core that the calling thread runs on, −1 for one that is not to be used.
int pg_pins_here(const pg_pins *p);

// pg_pins_bind binds a thread to a core, or to all of them if core is −1. Where the system refuses that, threads stay unbound: this
// is about speed alone.
void pg_pins_bind(const pg_pins *p, pthread_t thread, int core);

#endif
