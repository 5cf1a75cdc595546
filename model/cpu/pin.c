#define _GNU_SOURCE
#include "pin.h"

#include <sched.h>
#include <stdlib.h>

struct pg_pins {
  int16_t core_of[CPU_SETSIZE];
  unsigned cores;
  cpu_set_t all;
  cpu_set_t core[];
};

pg_pins *pg_pins_new(const int16_t *core_of, size_t n, unsigned cores) {
  pg_pins *p = calloc(1, sizeof *p + cores * sizeof *p->core);
  if (!p) return NULL;
  p->cores = cores;
  for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    int core = cpu < n ? core_of[cpu] : -1;
    if (core < 0 || (unsigned)core >= cores) core = -1;
    p->core_of[cpu] = (int16_t)core;
    if (core < 0) continue;
    CPU_SET(cpu, &p->core[core]);
    CPU_SET(cpu, &p->all);
  }
  for (unsigned c = 0; c < cores; c++) {
    if (CPU_COUNT(&p->core[c])) continue;
    free(p);
    return NULL;
  }
  return p;
}

void pg_pins_free(pg_pins *p) { free(p); }

unsigned pg_pins_cores(const pg_pins *p) { return p->cores; }

int pg_pins_here(const pg_pins *p) {
  int cpu = sched_getcpu();
  return cpu < 0 || cpu >= CPU_SETSIZE ? -1 : p->core_of[cpu];
}

void pg_pins_bind(const pg_pins *p, pthread_t thread, int core) {
  pthread_setaffinity_np(thread, sizeof p->all, core < 0 ? &p->all : &p->core[core]);
}
