#include "fiber.hpp"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#if !OWN_SWITCH
#include <ucontext.h>
#endif

namespace emulated {

// A kernel's frames are small: arrays of a few hundred floats at most. Only pages that are touched cost anything.
static const size_t stack_bytes = 128 << 10;

Stacks::~Stacks() {
  if (memory) munmap(memory, count * stride);
}

bool Stacks::reserve(size_t n) {
  if (n <= count) return true;
  if (memory) munmap(memory, count * stride);
  memory = nullptr;
  count = 0;
  const size_t page = size_t(sysconf(_SC_PAGESIZE));
  stride = stack_bytes + page;
  void *m = mmap(nullptr, n * stride, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (m == MAP_FAILED) return false;
  memory = static_cast<char *>(m);
  count = n;
  for (size_t i = 0; i < n; i++)
    if (mprotect(memory + i * stride, page, PROT_NONE)) return false;
  return true;
}

char *Stacks::top(size_t i) const { return memory + (i + 1) * stride; }
char *Stacks::bottom(size_t i) const { return top(i) - stack_bytes; }

#if OWN_SWITCH && defined(__x86_64__)
// The registers that a call keeps (System V ABI): rbx, rbp, r12–r15. A fiber mostly goes on behind another call than the one that
// suspended the fiber before it, where a ret would be predicted to return; a jump is predicted by where jumps from here went.
asm(R"(
.text
.globl peregrine_fiber_switch
.type peregrine_fiber_switch, @function
peregrine_fiber_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmp *%rcx
.size peregrine_fiber_switch, .-peregrine_fiber_switch
)");
static const size_t saved_words = 6;
#elif OWN_SWITCH
// The registers that a call keeps (AAPCS64): x19–x30 and the lower halves of v8–v15.
asm(R"(
.text
.globl peregrine_fiber_switch
.type peregrine_fiber_switch, %function
peregrine_fiber_switch:
  sub sp, sp, #160
  stp x19, x20, [sp]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size peregrine_fiber_switch, .-peregrine_fiber_switch
)");
#endif

#if OWN_SWITCH
Fiber fiber_make(char *, char *top, void (*start)()) {
  uintptr_t *words = reinterpret_cast<uintptr_t *>(top);
#if defined(__x86_64__)
  words -= saved_words + 2; // one above the return address, so that a called function's stack is aligned
  for (size_t i = 0; i < saved_words; i++) words[i] = 0;
  words[saved_words] = reinterpret_cast<uintptr_t>(start);
  words[saved_words + 1] = 0;
#else
  words -= 20;
  for (size_t i = 0; i < 20; i++) words[i] = 0;
  words[11] = reinterpret_cast<uintptr_t>(start); // x30
#endif
  return words;
}

#else
// The context lies at the lower end of the stack, or on the stack that switches away.
Fiber fiber_make(char *stack, char *top, void (*start)()) {
  ucontext_t *c = reinterpret_cast<ucontext_t *>(stack);
  getcontext(c);
  c->uc_stack.ss_sp = stack + sizeof(ucontext_t);
  c->uc_stack.ss_size = size_t(top - stack) - sizeof(ucontext_t);
  c->uc_link = nullptr;
  makecontext(c, start, 0);
  return c;
}

void fiber_switch(Fiber *from, Fiber to) {
  ucontext_t here;
  *from = &here;
  swapcontext(&here, static_cast<ucontext_t *>(to));
}
#endif

} // namespace emulated
