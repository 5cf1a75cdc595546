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
  Fiber fiber;
  Op at; // the collective it waits in; none: it runs or may run
  Site site;
  bool ended;
  uint32_t groups; // committed
  std::vector<Copy> copies;
};

struct Warp {
  uint32_t ready; // lanes that may run and do not
  uint32_t arrived; // lanes in the collective
  Op op;
  Site site;
  uint32_t epoch; // of sync_warp
  uint32_t values[warp_size], result[warp_size];
  void *shares[warp_size];
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
  std::vector<Warp> warps;
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
  void arrive(Op op, Site site);

private:
  int next_ready();
  [[noreturn]] void stuck();
};

// The collective's name as kernels have it.
const char *op_name(Op op);

extern const Runtime runtime;

// What the last lane to arrive does for all.
void mma(void *const *shares);
void load_matrices(void *const *shares, bool transposed);

} // namespace emulated
