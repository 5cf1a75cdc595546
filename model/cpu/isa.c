// Which kernels run on this machine.
#define _GNU_SOURCE
#include "isa.h"

#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

// What the operating system saves of the registers (XCR0): the upper halves of 256 bits, what AVX-512 has beyond, and AMX's tiles.
enum { SAVES_AVX = 0x06, SAVES_AVX512 = 0xe6, SAVES_TILES = 0x60000 };

static int have(unsigned registers, unsigned mask) { return (registers & mask) == mask; }

static unsigned saved(void) {
  unsigned lo, hi;
  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return lo;
}

static int have_avx2(void) {
  unsigned a, b, c, d;
  const unsigned fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29, avx2 = 1u << 5;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !have(c, fma | osxsave | avx | f16c) || !have(saved(), SAVES_AVX)) return 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && have(b, avx2);
}

static int have_avxvnni(void) {
  unsigned a, b, c, d;
  const unsigned avxvnni = 1u << 4;
  return have_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && have(a, avxvnni);
}

static int have_avx512vnni(void) {
  unsigned a, b, c, d;
  const unsigned avx512f = 1u << 16, avx512vl = 1u << 31, avx512vnni = 1u << 11;
  if (!have_avx2() || !have(saved(), SAVES_AVX512)) return 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && have(b, avx512f | avx512vl) && have(c, avx512vnni);
}

// Linux gives a process the tiles only if it asks: they are 8 KB that every switch of a thread which uses them saves.
static int have_amx(void) {
  enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; // arch_prctl's ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA
  unsigned a, b, c, d;
  const unsigned avx512bw = 1u << 30, amxtile = 1u << 24, amxint8 = 1u << 25;
  if (!have_avx512vnni() || !have(saved(), SAVES_TILES)) return 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !have(b, avx512bw) || !have(d, amxtile | amxint8)) return 0;
  return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

static int have_amxbf16(void) {
  unsigned a, b, c, d;
  const unsigned avx512bf16 = 1u << 5, amxbf16 = 1u << 22;
  if (!have_amx() || !__get_cpuid_count(7, 1, &a, &b, &c, &d) || !have(a, avx512bf16)) return 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && have(d, amxbf16);
}
#elif defined(PG_NEON)
#include <sys/auxv.h>

static int have_neon(void) { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }

static int have_neoni8mm(void) { return have_neon() && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0; }
#endif

// All sets, best first.
static const struct {
  int (*runs)(void); // NULL: everywhere
  const pg_isa *isa;
} sets[] = {
#if defined(__x86_64__)
    {have_amxbf16, &pg_isa_amxbf16},
    {have_amx, &pg_isa_amx},
    {have_avx512vnni, &pg_isa_avx512vnni},
    {have_avxvnni, &pg_isa_avxvnni},
    {have_avx2, &pg_isa_avx2},
#elif defined(PG_NEON)
    {have_neoni8mm, &pg_isa_neoni8mm},
    {have_neon, &pg_isa_neon},
#endif
    {NULL, &pg_isa_scalar},
};

const pg_isa *pg_isa_at(size_t i) {
  for (size_t s = 0; s < sizeof sets / sizeof *sets; s++)
    if ((!sets[s].runs || sets[s].runs()) && i-- == 0) return sets[s].isa;
  return NULL;
}

const pg_isa *pg_isa_tried(const pg_isa *(*at)(size_t)) {
  for (size_t i = 0;; i++) {
    const pg_isa *isa = at(i);
    if (!isa || !isa->untried) return isa;
  }
}

const pg_isa *pg_isa_find(const char *name) {
  if (!*name) return pg_isa_tried(pg_isa_at);
  for (size_t i = 0;; i++) {
    const pg_isa *isa = pg_isa_at(i);
    if (!isa || !strcmp(isa->name, name)) return isa;
  }
}
