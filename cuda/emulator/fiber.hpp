// Fibers: stacks that a thread of the host switches between without the kernel's help.
#pragma once

#include <stddef.h>

#if defined(__ELF__) && (defined(__x86_64__) || defined(__aarch64__))
#define OWN_SWITCH 1
#endif

namespace emulated {

// A suspended fiber is the place on its stack where its registers are.
typedef void *Fiber;

// fiber_make returns a fiber that will call start, which never returns, on the stack that ends at top.
Fiber fiber_make(char *stack, char *top, void (*start)());

// fiber_switch suspends the caller in from and goes on with to.
#if OWN_SWITCH
extern "C" void peregrine_fiber_switch(Fiber *from, Fiber to);
inline void fiber_switch(Fiber *from, Fiber to) { peregrine_fiber_switch(from, to); }
#else
void fiber_switch(Fiber *from, Fiber to);
#endif

// Stacks of one size, each with a page below it that faults.
class Stacks {
  char *memory = nullptr;
  size_t count = 0, stride = 0;

public:
  ~Stacks();
  // reserve makes room for n stacks; false if the host has none. What the stacks held is lost.
  bool reserve(size_t n);
  char *bottom(size_t i) const;
  char *top(size_t i) const;
};

} // namespace emulated
