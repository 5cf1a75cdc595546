// A runner runs one block after the other; a launch has as many as threads of the host work on it.
#pragma once

#include <vector>

#include "block.hpp"
#include "emulator.h"
#include "fiber.hpp"
#include "races.hpp"

namespace emulated {

constexpr uint32_t warp_size = 32;
constexpr uint32_t most_threads = 1024;
constexpr uint32_t most_shared = 227 << 10;   // of a block, as on an H100
constexpr uint32_t most_static = 48 << 10;    // of SHARED arrays, a rule of PTX

struct Copy {
  char *to;
  const char *from; // null: zeros
  uint32_t group;
};

struct Thread {
  bool ended;
  uint32_t groups; // committed
  std::vector<Copy> copies;
};

// A warp says in three masks what its lanes do, so that a collective touches one warp and not 32 threads.
struct Warp {
  uint32_t ready;   // lanes that may run and do not
  uint32_t arrived; // lanes in the collective op at site
  uint32_t blocked; // lanes at the block's barrier
  Op op;
  Site site;
  uint32_t epoch; // of sync_warp
  uint32_t values[warp_size];
  void *shares[warp_size];
};

// What a thread waits for; none: it runs or may run, or has ended.
struct Wait {
  Op op;
  Site site;
};

struct Array { // of shared memory
  const void *key;
  const char *name;
  char *base;
  uint64_t bytes;
};

struct Runner : Block {
  Stacks stacks;
  std::vector<Thread> thread_table;
  std::vector<Fiber> fibers; // of the threads
  std::vector<Warp> warps;
  uint32_t exchanged[most_threads / warp_size][warp_size];
  std::vector<Array> arrays; // the first is the dynamic memory
  std::vector<char> room;    // shared memory
  char *arena;               // in room, aligned to 128 bytes
  uint64_t arena_used;
  Races detector;
  Fiber host;
  peregrine_launch *launch;
  const Kernel *kernel;
  uint32_t arrived, ended; // threads at the block's barrier, threads that are done
  Site barrier;         // where first_arrived waits
  uint32_t first_arrived;
  bool failed;
  char message[PEREGRINE_MESSAGE];

  Runner();
  // run runs one block; false if it failed, and then message says why.
  bool run(peregrine_launch *l, uint64_t index);
  // fail ends the block with a message in printf's format, which stands behind kernel, block and thread.
  [[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 2, 3)));
  // diverge fails because this thread waits at op while the other waits elsewhere or has ended.
  [[noreturn]] void diverge(uint32_t other, Op op, Site site);
  // leave goes on with another thread; the caller is not ready.
  void leave();
  const Array *array_of(const char *at) const;
  void end_thread();
  void arrive(Warp &w, uint32_t lane, Op op, Site site);

private:
  int next_ready();
  void arrive_checked(Warp &w, uint32_t lane, Op op, Site site);
  void join(Warp &w, uint32_t lane, Op op, Site site);
  void complete(Warp &w, uint32_t lane);
  Wait wait_of(uint32_t t) const;
  [[noreturn]] void stuck();
};

// The collective's name as kernels have it.
const char *op_name(Op op);

extern const Runtime runtime;

// What the last lane to arrive does for all.
void mma(void *const *shares);
void load_matrices(void *const *shares, bool transposed);

} // namespace emulated
