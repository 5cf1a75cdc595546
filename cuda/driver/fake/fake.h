// A CUDA driver that is played on the host, and faults in it or in the real one.
#ifndef PEREGRINE_FAKE_H
#define PEREGRINE_FAKE_H

#include "../stub/stand_in.h"

enum { FAKE_DEVICES = 4, FAKE_FAULTS = 8, FAKE_ARGS = 4096 };

typedef struct {
  char name[64];
  int major, minor, multiprocessors, block_shared;
  size_t memory;
} fake_device;

// fake_install makes the stand-in ask the driver played here, or with count 0 the real one, faults injected in both.
void fake_install(int version, const fake_device *devices, int count);
// fake_remove takes it all away again.
void fake_remove(void);

// fake_fail makes the calls of a function after `skip` more return code, `times` of them.
CUresult fake_fail(const char *function, CUresult code, int skip, int times);

// fake_calls returns how often a function was called since fake_install.
int fake_calls(const char *function);

// fake_live returns how many contexts, allocations, streams, events, modules and graphs there are.
int fake_live(void);

// The last kernel that was launched, or replayed.
typedef struct {
  char name[64];
  unsigned grid[3], block[3], shared;
  size_t size;
  unsigned char args[FAKE_ARGS];
} fake_launch;

// fake_launched fills in the last launch and returns how many there were.
int fake_launched(fake_launch *last);

// The functions played, by name (driver.c).
void *fake_function(const char *name);
void fake_reset(int version, const fake_device *devices, int count);

#endif
