// What kernels and the emulator know of each other: a kernel reaches everything through its Block, so that a module needs
// no symbol of the emulator's.
#pragma once

#include <stdint.h>

// A product and a sum are two operations unless a kernel says fma, as on the GPU (-ffp-contract=off).
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif !defined(__x86_64__) // which has no fused operation unless asked
#pragma GCC optimize("fp-contract=off")
#endif

namespace emulated {

// A device allocation. Device addresses are slot << slot_shift | offset, so that no offset leads from one to another; slot 0
// is never used. A released one has no base.
struct Slot {
  char *base;
  uint64_t size;
};
constexpr uint32_t slot_shift = 40;

// Where a collective is called.
struct Site {
  const char *file;
  uint32_t line;
};

enum class Op : uint8_t { none, sync_block, sync_warp, shuffle, ballot, mma, ldmatrix, ldmatrix_trans };

// A lane's share of a matrix product and of a matrix load.
struct MmaShare {
  float *c;
  const uint32_t *a, *b;
};
struct MatrixShare {
  uint32_t *v;
  const char *row;
};

struct Block;

// The emulator's part of what a kernel may call. Those that return Never end the block.
struct Never {};
struct Runtime {
  void (*sync_block)(Block &, Site);
  // exchange leaves the values of a warp's 32 lanes in Block::results; ballot's is one mask, the first. It returns nothing, so that
  // it ends with the switch to another thread.
  void (*exchange)(Block &, Op, uint32_t value, Site);
  void (*together)(Block &, Op, void *share, Site);
  void (*copy_async)(Block &, char *to, const char *from);
  void (*copy_commit)(Block &);
  void (*copy_wait)(Block &, uint32_t groups_left);
  void (*pause)(Block &);
  // shared returns the block's array that belongs to key, made by the first thread that asks.
  char *(*shared)(Block &, const void *key, const char *name, uint64_t bytes, uint32_t align);
  // touch tells the race detector of an access of unknown kind, read and write of a known one.
  void (*touch)(Block &, const char *at, uint64_t bytes);
  void (*read)(Block &, const char *at, uint64_t bytes);
  void (*write)(Block &, const char *at, uint64_t bytes);
  Never (*bad_global)(Block &, const char *base, uint64_t size, int64_t offset, uint32_t bytes, uint32_t align);
  Never (*bad_shared)(Block &, const char *base, uint64_t size, int64_t offset, uint32_t bytes, uint32_t align);
};

// A block that runs; its threads take turns.
struct Block {
  const Runtime *runtime;
  const Slot *slots;
  uint64_t slot_count;
  bool races; // look for races in shared memory
  uint32_t thread; // the one that runs
  uint32_t threads;
  uint32_t id[3], grid[3];
  const uint32_t (*results)[32]; // by warp
  char *dynamic;
  uint32_t dynamic_bytes;
};

// An entry point. A module's are a list.
struct Kernel {
  const char *name;
  uint32_t args;    // bytes
  uint32_t threads; // upper bound of a block
  void (*entry)(Block *, const void *args);
  const Kernel *next;
};

} // namespace emulated
