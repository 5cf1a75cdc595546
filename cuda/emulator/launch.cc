// The C interface: memory, modules, launches.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <memory>
#include <mutex>
#include <vector>

#include "emulator.h"
#include "runner.hpp"

using namespace emulated;

// Room for more allocations than a device ever has; the pages come as they are used.
static const uint64_t most_slots = 1 << 22;

struct peregrine_memory {
  Slot *slots;
  uint64_t count; // of slots that were ever used, and the null slot
};

peregrine_memory *peregrine_memory_new(void) {
  void *slots = mmap(nullptr, most_slots * sizeof(Slot), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (slots == MAP_FAILED) return nullptr;
  return new peregrine_memory{static_cast<Slot *>(slots), 1};
}

void peregrine_memory_delete(peregrine_memory *m) {
  for (uint64_t i = 1; i < m->count; i++) free(m->slots[i].base);
  munmap(m->slots, most_slots * sizeof(Slot));
  delete m;
}

uint64_t peregrine_memory_alloc(peregrine_memory *m, uint64_t bytes) {
  if (m->count == most_slots || bytes >> slot_shift) return 0;
  uint64_t room = (bytes + 255) / 256 * 256;
  char *base = static_cast<char *>(aligned_alloc(256, room ? room : 256));
  if (!base) return 0;
  memset(base, 0xff, bytes); // NaNs
  uint64_t slot = m->count;
  m->slots[slot].size = bytes;
  __atomic_store_n(&m->slots[slot].base, base, __ATOMIC_RELEASE);
  __atomic_store_n(&m->count, slot + 1, __ATOMIC_RELEASE);
  return slot << slot_shift;
}

int64_t peregrine_memory_release(peregrine_memory *m, uint64_t address) {
  uint64_t slot = address >> slot_shift;
  if (slot == 0 || slot >= m->count || address != slot << slot_shift || !m->slots[slot].base) return -1;
  free(m->slots[slot].base);
  m->slots[slot].base = nullptr;
  return int64_t(m->slots[slot].size);
}

char *peregrine_memory_span(peregrine_memory *m, uint64_t address, uint64_t bytes, char *message) {
  uint64_t slot = address >> slot_shift, offset = address - (slot << slot_shift);
  uint64_t count = __atomic_load_n(&m->count, __ATOMIC_ACQUIRE);
  if (slot == 0 || slot >= count || !m->slots[slot].base) {
    snprintf(message, PEREGRINE_MESSAGE, "out of bounds: %llu bytes at address 0x%llx, which is %s",
             static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(address),
             slot == 0 ? "null" : slot < count ? "released" : "not an allocation's");
    return nullptr;
  }
  uint64_t size = m->slots[slot].size;
  if (offset > size || size - offset < bytes) {
    snprintf(message, PEREGRINE_MESSAGE, "out of bounds: %llu bytes at offset %llu of the allocation 0x%llx of %llu bytes",
             static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(offset),
             static_cast<unsigned long long>(slot << slot_shift), static_cast<unsigned long long>(size));
    return nullptr;
  }
  return m->slots[slot].base + offset;
}

struct ModuleEntry {
  const char *name;
  const Kernel *kernels;
};

static std::vector<ModuleEntry> &modules() {
  static std::vector<ModuleEntry> list;
  return list;
}

void peregrine_emulator_list(const char *module, const void *kernels) {
  modules().push_back({module, static_cast<const Kernel *>(kernels)});
}

int peregrine_emulator_has(const char *module) {
  for (const ModuleEntry &m : modules())
    if (!strcmp(m.name, module)) return 1;
  return 0;
}

const void *peregrine_emulator_find(const char *module, const char *name) {
  for (const ModuleEntry &m : modules()) {
    if (strcmp(m.name, module)) continue;
    for (const Kernel *k = m.kernels; k; k = k->next)
      if (!strcmp(k->name, name)) return k;
  }
  return nullptr;
}

void peregrine_emulator_kernel(const void *kernel, uint32_t *args, uint32_t *threads) {
  *args = static_cast<const Kernel *>(kernel)->args;
  *threads = static_cast<const Kernel *>(kernel)->threads;
}

// Runners wait here for the next launch: their stacks and shared memory stay.
static std::mutex idle_lock;
static std::vector<std::unique_ptr<Runner>> idle;

static std::unique_ptr<Runner> take_runner() {
  std::lock_guard<std::mutex> hold(idle_lock);
  if (idle.empty()) return std::unique_ptr<Runner>(new Runner);
  std::unique_ptr<Runner> r = std::move(idle.back());
  idle.pop_back();
  return r;
}

static std::mutex fault_lock;

void peregrine_launch_run(peregrine_launch *l) {
  std::unique_ptr<Runner> r = take_runner();
  r->slots = l->memory->slots;
  r->slot_count = __atomic_load_n(&l->memory->count, __ATOMIC_ACQUIRE);
  uint64_t blocks = uint64_t(l->grid[0]) * l->grid[1] * l->grid[2];
  for (;;) {
    uint64_t index = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);
    // Blocks are taken in order, so all before the first that fails are run: what is reported does not depend on threads.
    if (index >= blocks || index > __atomic_load_n(&l->fault, __ATOMIC_ACQUIRE)) break;
    if (r->run(l, index)) continue;
    std::lock_guard<std::mutex> hold(fault_lock);
    if (index < l->fault) {
      __atomic_store_n(&l->fault, index, __ATOMIC_RELEASE);
      memcpy(l->message, r->message, sizeof l->message);
    }
  }
  std::lock_guard<std::mutex> hold(idle_lock);
  idle.push_back(std::move(r));
}
