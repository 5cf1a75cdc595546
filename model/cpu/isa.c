// Which kernels run on this machine.
#include "isa.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

// AVX2, FMA and F16C, and an operating system that saves the upper halves of the registers.
static int have_avx2(void) {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
  const unsigned fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29, want = fma | osxsave | avx | f16c;
  if ((c & want) != want) return 0;
  unsigned lo, hi;
  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  if ((lo & 6) != 6) return 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & (1u << 5));
}
#endif

const pg_isa *pg_isa_at(size_t i) {
#if defined(__x86_64__)
  if (have_avx2()) {
    if (i == 0) return &pg_isa_avx2;
    i--;
  }
#endif
  return i == 0 ? &pg_isa_scalar : NULL;
}

const pg_isa *pg_isa_find(const char *name) {
  if (!*name) return pg_isa_at(0);
  for (size_t i = 0;; i++) {
    const pg_isa *isa = pg_isa_at(i);
    if (!isa || !strcmp(isa->name, name)) return isa;
  }
}
