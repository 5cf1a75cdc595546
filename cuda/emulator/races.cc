#include "races.hpp"

#include <string.h>

#include "runner.hpp"

namespace emulated {

void Races::report(Runner &r, uint64_t at, uint32_t thread, const char *does, const char *did, uint32_t other) {
  const Array *a = r.array_of(r.arena + at);
  r.fail("race: thread %u %s byte %llu of shared array \"%s\" (%llu bytes), which thread %u %s since the last barrier of both",
         thread, does, static_cast<unsigned long long>(r.arena + at - a->base), a->name,
         static_cast<unsigned long long>(a->bytes), other, did);
}

void Races::read_byte(Runner &r, uint64_t at, uint32_t thread) {
  Byte &b = shadow[at];
  uint32_t warp = thread / warp_size, warp_epoch = r.warps[warp].epoch;
  if (b.write_epoch == epoch && b.writer != thread && (b.writer / warp_size != warp || b.write_warp_epoch == warp_epoch))
    report(r, at, thread, "reads", "wrote", b.writer);
  if (b.read_epoch != epoch) {
    b.lanes = b.warps = false;
  } else if (b.reader / warp_size != warp) {
    b.warps = true;
  } else if (b.read_warp_epoch != warp_epoch) {
    b.lanes = false;
  } else if (b.reader != thread) {
    b.lanes = true;
  }
  b.read_epoch = epoch;
  b.read_warp_epoch = warp_epoch;
  b.reader = uint16_t(thread);
}

void Races::write_byte(Runner &r, uint64_t at, uint32_t thread) {
  Byte &b = shadow[at];
  uint32_t warp = thread / warp_size, warp_epoch = r.warps[warp].epoch;
  if (b.write_epoch == epoch && b.writer != thread && (b.writer / warp_size != warp || b.write_warp_epoch == warp_epoch))
    report(r, at, thread, "writes", "wrote", b.writer);
  if (b.read_epoch == epoch && (b.warps || b.reader / warp_size != warp ||
                                (b.read_warp_epoch == warp_epoch && (b.lanes || b.reader != thread))))
    report(r, at, thread, "writes", "read", b.reader);
  b.write_epoch = epoch;
  b.write_warp_epoch = warp_epoch;
  b.writer = uint16_t(thread);
}

void Races::read(Runner &r, const char *at, uint64_t bytes) {
  settle(r);
  if (shadow.empty()) shadow.resize(most_shared);
  for (uint64_t i = 0; i < bytes; i++) read_byte(r, uint64_t(at - r.arena) + i, r.thread);
}

void Races::write(Runner &r, const char *at, uint64_t bytes) {
  settle(r);
  if (shadow.empty()) shadow.resize(most_shared);
  for (uint64_t i = 0; i < bytes; i++) write_byte(r, uint64_t(at - r.arena) + i, r.thread);
}

void Races::touch(Runner &r, const char *at, uint64_t bytes) {
  settle(r);
  open = at;
  open_bytes = bytes < sizeof before ? bytes : sizeof before;
  open_thread = r.thread;
  memcpy(before, at, open_bytes);
}

void Races::settle(Runner &r) {
  if (!open) return;
  const char *at = open;
  open = nullptr;
  if (shadow.empty()) shadow.resize(most_shared);
  bool changed = memcmp(before, at, open_bytes) != 0;
  for (uint64_t i = 0; i < open_bytes; i++) {
    if (changed)
      write_byte(r, uint64_t(at - r.arena) + i, open_thread);
    else
      read_byte(r, uint64_t(at - r.arena) + i, open_thread);
  }
}

} // namespace emulated
