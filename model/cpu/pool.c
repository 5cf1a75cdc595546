// How many threads work: where others use the machine, a thread that has lost its core holds up all the rest at every barrier,
// and a forward pass has hundreds. If the threads spend more than WAIT_SHARE of a window of time in waits, there is one less
// from the next adapting barrier on. After `patience` one more is tried again; patience doubles with every try and starts anew
// once all threads have worked in peace for that long, and for PEACE_NS. Results do not depend on it (isa.h).
//
// Where they run: with a thread for every core each is bound to its own, the caller of pg_pool_run while the job runs. Else, when something else needs a core for a
// millisecond, the system moves the thread of that core to another's, which sleeps at a barrier just then, and leaves both there for
// 5 to 20 ms. As soon as there is one thread less all are free again, since nobody knows which core is the busy one.
#define _GNU_SOURCE
#include "pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// How long a wait spins. A barrier of two idle cores takes 1 us, the shortest phase of a small model 10 us, waking a sleeper
// 30 to 60 us: beyond that, somebody else needs the core more.
enum { PG_SPIN_NS = 50 * 1000 };

enum {
  LINE = 64,
  WINDOW_NS = 20 * 1000 * 1000, // of work, over which waits are added up: some of the system's time slices
  WAIT_SHARE = 30,              // percent of all threads' time
  PATIENCE_MIN_NS = 5 * 1000 * 1000, // short: most that displace a thread, a screen or a collector, are gone by then
  PATIENCE_MAX_NS = 1280 * 1000 * 1000,
  PEACE_NS = 80 * 1000 * 1000, // before patience starts anew, at least: several times what a verdict takes
};

// word is a 32-bit value that threads wait on, with the number of those that sleep.
typedef struct word {
  _Alignas(LINE) atomic_uint value;
  atomic_uint sleepers;
} word;

// member is what one thread of the pool waits on and tells. Member 0 stands for the callers of pg_pool_run.
typedef struct member {
  word job;           // counts the jobs given to this thread
  int64_t waited;     // ns spent waiting since the measurement began, but for the first moments of each wait
  struct pg_pool *pool;
  pthread_t handle;
  int core; // that it is bound to, or shall be; each has another
} member;

struct pg_pool {
  word done;    // counts jobs that are finished
  word barrier; // counts barriers passed
  _Alignas(LINE) atomic_uint arrived; // at the barrier
  _Alignas(LINE) atomic_uint running; // threads of the pool that still work on the job
  _Alignas(LINE) atomic_size_t next;
  _Alignas(LINE) unsigned threads;
  // Threads of the present job, and what the last barrier saw of stop; both are written before barrier.value. Atomic, since a
  // thread that leaves at an adapting barrier may read them when the others have passed the next one: active only falls.
  atomic_uint active;
  atomic_int stop;
  int64_t elapsed, mark;   // time in jobs since the waits are measured, counted up to mark
  int64_t retry, patience; // when to try one thread more, and how long to wait for that the next time
  pg_pins *pins; // NULL: threads are never bound
  int bound;     // the pool's own threads are bound to their cores
  int here;      // the caller of pg_pool_run is: as long as that runs
  int quit;
  pg_task task;
  void *arg;
  member member[];
};

static inline void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void futex(atomic_uint *a, int op, unsigned v) { syscall(SYS_futex, a, op | FUTEX_PRIVATE_FLAG, v, NULL, NULL, 0); }

static int changes(word *w, unsigned old, int tries) {
  for (int i = 0; i < tries; i++) {
    if (atomic_load_explicit(&w->value, memory_order_acquire) != old) return 1;
    relax();
  }
  return 0;
}

// Waits until w is no longer old. Returns the ns that it took, 0 for a moment.
static int64_t word_wait(word *w, unsigned old) {
  if (changes(w, old, 64)) return 0;
  int64_t start = now_ns();
  while (now_ns() - start < PG_SPIN_NS)
    if (changes(w, old, 32)) return now_ns() - start;
  atomic_fetch_add(&w->sleepers, 1);
  while (atomic_load(&w->value) == old) futex(&w->value, FUTEX_WAIT, old);
  atomic_fetch_sub(&w->sleepers, 1);
  return now_ns() - start;
}

// Advances w. A sleeper has either counted itself before this store is visible, and is woken, or sees the new value.
static void word_advance(word *w) {
  atomic_fetch_add(&w->value, 1);
  if (atomic_load(&w->sleepers)) futex(&w->value, FUTEX_WAKE, 0x7fffffff);
}

static void *work(void *arg) {
  member *me = arg;
  pg_pool *p = me->pool;
  for (unsigned seen = 0;; seen++) {
    word_wait(&me->job, seen);
    if (p->quit) return NULL;
    p->task(p->arg, (unsigned)(me - p->member), p->active);
    if (atomic_fetch_sub(&p->running, 1) == 1) word_advance(&p->done);
  }
}

// Starts the workers; frees the pool if the system refuses one.
static pg_pool *start(pg_pool *p) {
  for (unsigned t = 1; t < p->threads; t++) {
    p->member[t].pool = p;
    if (pthread_create(&p->member[t].handle, NULL, work, &p->member[t])) {
      p->threads = t; // the threads that exist
      pg_pool_free(p);
      return NULL;
    }
  }
  return p;
}

pg_pool *pg_pool_new(unsigned threads, pg_pins *pins) {
  if (threads == 0) threads = 1;
  size_t size = sizeof(pg_pool) + threads * sizeof(member);
  pg_pool *p = aligned_alloc(LINE, (size + LINE - 1) / LINE * LINE);
  if (!p) {
    pg_pins_free(pins);
    return NULL;
  }
  memset(p, 0, size);
  p->threads = threads;
  if (pins && threads > 1 && pg_pins_cores(pins) == threads) {
    p->pins = pins;
    for (unsigned t = 0; t < threads; t++) p->member[t].core = (int)t;
  } else {
    pg_pins_free(pins);
  }
  atomic_init(&p->active, threads);
  p->patience = PATIENCE_MIN_NS;
  // Signals belong to the Go runtime's threads: the workers inherit a full mask.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pg_pool *made = start(p);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return made;
}

void pg_pool_free(pg_pool *p) {
  if (!p) return;
  p->quit = 1;
  for (unsigned t = 1; t < p->threads; t++) word_advance(&p->member[t].job);
  for (unsigned t = 1; t < p->threads; t++) pthread_join(p->member[t].handle, NULL);
  pg_pins_free(p->pins);
  free(p);
}

unsigned pg_pool_threads(const pg_pool *p) { return p->threads; }

unsigned pg_pool_active(const pg_pool *p) { return p->active; }

static void measure_anew(pg_pool *p) {
  p->elapsed = 0;
  for (unsigned t = 0; t < p->threads; t++) p->member[t].waited = 0;
}

// Whether the threads have waited so much that one less would do; asked at the end of jobs and at adapting barriers.
static int crowded(pg_pool *p, int64_t now) {
  p->elapsed += now - p->mark;
  p->mark = now;
  int64_t waited = 0, window = p->elapsed > WINDOW_NS ? p->elapsed : WINDOW_NS;
  for (unsigned t = 0; t < p->active; t++) waited += p->member[t].waited;
  int verdict = waited * 100 > window * WAIT_SHARE * p->active; // certain before the window ends
  if (verdict || p->elapsed >= WINDOW_NS) measure_anew(p);
  return verdict;
}

// Lets all threads run anywhere.
static void unbind(pg_pool *p) {
  for (unsigned t = p->here ? 0 : 1; t < p->threads; t++) pg_pins_bind(p->pins, p->member[t].handle, -1);
  p->bound = p->here = 0;
}

// Binds all threads to their cores, the caller to the one where it is: it was free, and may have come to one that another had.
static void bind(pg_pool *p) {
  int here = pg_pins_here(p->pins);
  if (here < 0) { // the system has moved it to a core that was not there at first
    if (p->bound) unbind(p);
    return;
  }
  for (unsigned t = 1; t < p->threads; t++) {
    int moves = p->member[t].core == here;
    if (moves) p->member[t].core = p->member[0].core;
    if (moves || !p->bound) pg_pins_bind(p->pins, p->member[t].handle, p->member[t].core);
  }
  p->member[0].core = here;
  p->member[0].handle = pthread_self();
  pg_pins_bind(p->pins, p->member[0].handle, here);
  p->bound = p->here = 1;
}

// Takes one thread away for a while.
static void shrink(pg_pool *p, int64_t now) {
  if (p->bound) unbind(p);
  p->active--;
  p->retry = now + p->patience;
  if (p->patience < PATIENCE_MAX_NS) p->patience *= 2;
}

// Before a job: tries one thread more when the time has come.
static void grow(pg_pool *p, int64_t now) {
  if (now < p->retry) return;
  if (p->active < p->threads) {
    p->active++;
    p->retry = now + (p->patience > PEACE_NS ? p->patience : PEACE_NS);
    measure_anew(p);
  } else {
    p->patience = PATIENCE_MIN_NS;
  }
}

// A job of more than one thread.
static void run(pg_pool *p, pg_task task, void *arg) {
  unsigned done = atomic_load(&p->done.value), threads = p->active;
  p->task = task;
  p->arg = arg;
  atomic_store(&p->running, threads - 1);
  for (unsigned t = 1; t < threads; t++) word_advance(&p->member[t].job);
  task(arg, 0, threads);
  int64_t waited = word_wait(&p->done, done), now = now_ns();
  if (p->active == 1) return;
  p->member[0].waited += waited;
  if (crowded(p, now)) shrink(p, now);
}

void pg_pool_run(pg_pool *p, pg_task task, void *arg) {
  if (p->threads > 1) {
    p->mark = now_ns();
    grow(p, p->mark);
  }
  atomic_store(&p->next, 0);
  if (p->active == 1) {
    task(arg, 0, 1);
    return;
  }
  if (p->pins && p->active == p->threads) bind(p);
  run(p, task, arg);
  if (p->here) pg_pins_bind(p->pins, p->member[0].handle, -1); // it is not the pool's own thread
  p->here = 0;
}

static int barrier(pg_pool *p, unsigned thread, const atomic_int *stop, int adapt) {
  unsigned active = p->active; // read before arriving: the last one may change it
  if (active == 1) {
    atomic_store(&p->next, 0);
    return stop ? atomic_load(stop) : 0;
  }
  unsigned old = atomic_load(&p->barrier.value);
  if (atomic_fetch_add(&p->arrived, 1) + 1 == active) {
    atomic_store(&p->arrived, 0);
    atomic_store(&p->next, 0);
    p->stop = stop ? atomic_load(stop) : 0;
    if (adapt) {
      int64_t now = now_ns();
      if (crowded(p, now)) shrink(p, now);
    }
    word_advance(&p->barrier);
  } else {
    int64_t waited = word_wait(&p->barrier, old); // first: the last one to arrive may reset the sum meanwhile
    p->member[thread].waited += waited;
  }
  return p->stop;
}

int pg_barrier(pg_pool *p, unsigned thread, const atomic_int *stop) { return barrier(p, thread, stop, 0); }

int pg_barrier_adapt(pg_pool *p, unsigned thread, const atomic_int *stop) { return barrier(p, thread, stop, 1); }

size_t pg_next(pg_pool *p) { return atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed); }
