// The thread pool: threads made once, that sleep between jobs, and a barrier inside a job.
//
// Every wait spins for at most PG_SPIN_NS and then sleeps on a futex, so that on a busy machine a waiting thread gives its
// core to the one that it waits for.
#ifndef PEREGRINE_POOL_H
#define PEREGRINE_POOL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "pin.h"

typedef struct pg_pool pg_pool;

// pg_task is run by `threads` threads at once, thread 0 being the caller's.
typedef void (*pg_task)(void *arg, unsigned thread, unsigned threads);

// pg_pool_new makes a pool of that many threads, the caller of pg_pool_run included. NULL: the system has no more threads or memory.
// It takes pins over, which may be NULL: as many cores as threads, one for each.
pg_pool *pg_pool_new(unsigned threads, pg_pins *pins);
void pg_pool_free(pg_pool *p); // joins all threads
unsigned pg_pool_threads(const pg_pool *p);

// pg_pool_run runs task on all threads and returns when the last one is done. One caller at a time.
// When others keep the processors busy it uses fewer threads for a while: `threads` tells the task how many there are.
void pg_pool_run(pg_pool *p, pg_task task, void *arg);
unsigned pg_pool_active(const pg_pool *p); // of the present task, or of the last one

// pg_barrier waits, inside a task, until all threads have come. It returns what the last one to come saw in *stop, the same
// for all threads, so that they leave together. stop may be NULL.
int pg_barrier(pg_pool *p, unsigned thread, const atomic_int *stop);

// pg_barrier_adapt is a pg_barrier after which fewer threads may go on: each asks pg_pool_active, and leaves the task if its
// number is not below.
int pg_barrier_adapt(pg_pool *p, unsigned thread, const atomic_int *stop);

// pg_next hands out 0, 1, 2 ... to all threads of a task, anew after every barrier.
size_t pg_next(pg_pool *p);

// The share of thread t when n things are split evenly.
static inline size_t pg_share(size_t n, unsigned t, unsigned threads) { return n * t / threads; }

#endif
