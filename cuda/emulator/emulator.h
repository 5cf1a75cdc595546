// The emulator as Go sees it.
#ifndef PEREGRINE_EMULATOR_H
#define PEREGRINE_EMULATOR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PEREGRINE_MESSAGE = 512 };

// The allocations of a device. Its slots are only ever added; one is added or released by one thread at a time.
typedef struct peregrine_memory peregrine_memory;
peregrine_memory *peregrine_memory_new(void);
void peregrine_memory_delete(peregrine_memory *);
// alloc returns the address, or 0 where the host has no room.
uint64_t peregrine_memory_alloc(peregrine_memory *, uint64_t bytes);
// release returns the bytes that were there, or -1 if address is not an allocation's.
int64_t peregrine_memory_release(peregrine_memory *, uint64_t address);
// span returns where an address is and how many bytes follow it, or null; then message says why the bytes are not there.
char *peregrine_memory_span(peregrine_memory *, uint64_t address, uint64_t bytes, char *message);

// peregrine_emulator_list adds kernels, a list of emulated::Kernel, to those that can be found. Not while others look.
void peregrine_emulator_list(const char *module, const void *kernels);
// find returns the kernel or null; has tells whether there is such a module.
const void *peregrine_emulator_find(const char *module, const char *name);
int peregrine_emulator_has(const char *module);
void peregrine_emulator_kernel(const void *kernel, uint32_t *args, uint32_t *threads);

// A launch that any number of threads may run together, each by peregrine_launch_run.
typedef struct {
  const void *kernel;
  peregrine_memory *memory;
  const void *args;
  uint32_t grid[3];
  uint32_t threads;
  uint32_t shared; // bytes of dynamic shared memory
  uint32_t allowed; // bytes of shared memory in all
  uint32_t races;
  uint64_t next;  // block that nobody has taken
  uint64_t fault; // first block that failed; blocks behind it are not begun
  uint32_t lock;
  char message[PEREGRINE_MESSAGE];
} peregrine_launch;
void peregrine_launch_run(peregrine_launch *);

#ifdef __cplusplus
}
#endif
#endif
