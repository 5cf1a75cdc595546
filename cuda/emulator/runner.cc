#include "runner.hpp"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

namespace emulated {

static thread_local Runner *running;

const char *op_name(Op op) {
  static const char *const names[] = {"nothing", "sync_block", "sync_warp", "shuffle", "ballot", "mma_f16", "ldmatrix_x4", "ldmatrix_x4_trans"};
  return names[int(op)];
}

// base_name is a path's last part.
static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static bool same(const Site &a, const Site &b) {
  return a.line == b.line && (a.file == b.file || !strcmp(a.file, b.file));
}

Runner::Runner() : Block() {
  runtime = &emulated::runtime;
  results = exchanged;
  room.resize(most_shared + 128);
  arena = room.data() + (128 - uintptr_t(room.data()) % 128) % 128;
}

static void run_thread() {
  Runner &r = *running;
  r.kernel->entry(&r, r.launch->args);
  r.end_thread();
}

bool Runner::run(peregrine_launch *l, uint64_t index) {
  launch = l;
  kernel = static_cast<const Kernel *>(l->kernel);
  races = l->races;
  threads = l->threads;
  for (int i = 0; i < 3; i++) grid[i] = l->grid[i];
  id[0] = uint32_t(index % grid[0]);
  id[1] = uint32_t(index / grid[0] % grid[1]);
  id[2] = uint32_t(index / grid[0] / grid[1]);
  thread = arrived = ended = 0;
  failed = false;
  arrays.clear();
  dynamic = arena;
  dynamic_bytes = l->shared;
  arena_used = dynamic_bytes;
  memset(arena, 0xff, dynamic_bytes);
  arrays.push_back({nullptr, "dynamic", dynamic, dynamic_bytes});
  detector.drop();
  detector.next_epoch();
  if (thread_table.size() < threads) {
    thread_table.resize(threads);
    fibers.resize(threads);
  }
  if (!stacks.reserve(threads)) {
    snprintf(message, sizeof message, "%s: the host has no room for %u stacks", kernel->name, threads);
    return false;
  }
  warps.resize((threads + warp_size - 1) / warp_size);
  for (uint32_t w = 0; w < warps.size(); w++) {
    uint32_t lanes = threads - w * warp_size;
    warps[w].ready = lanes < warp_size ? (1u << lanes) - 1 : ~0u;
    warps[w].arrived = warps[w].blocked = 0;
    warps[w].op = Op::none;
    warps[w].epoch = 0;
  }
  for (uint32_t t = 0; t < threads; t++) {
    Thread &s = thread_table[t];
    fibers[t] = fiber_make(stacks.bottom(t), stacks.top(t), run_thread);
    s.ended = false;
    s.groups = 0;
    s.copies.clear();
  }
  running = this;
  thread = uint32_t(next_ready());
  fiber_switch(&host, fibers[thread]);
  return !failed;
}

void Runner::fail(const char *format, ...) {
  int n = snprintf(message, sizeof message, "%s: block (%u, %u, %u), thread %u: ", kernel->name, id[0], id[1], id[2], thread);
  va_list list;
  va_start(list, format);
  vsnprintf(message + n, sizeof message - size_t(n), format, list);
  va_end(list);
  failed = true;
  Fiber dropped;
  fiber_switch(&dropped, host);
  __builtin_unreachable();
}

// The lowest lane of a warp that is ready, which then no longer is.
static inline uint32_t take_lane(Warp &w) {
  uint32_t lane = uint32_t(__builtin_ctz(w.ready));
  w.ready &= w.ready - 1;
  return lane;
}

// next_ready takes a lane of this warp where one is ready, else of the next that has one; -1 if there is none.
int Runner::next_ready() {
  const uint32_t own = thread / warp_size, n = uint32_t(warps.size());
  for (uint32_t i = 0; i < n; i++) {
    uint32_t w = own + i < n ? own + i : own + i - n;
    if (!warps[w].ready) continue;
    uint32_t lane = take_lane(warps[w]);
    return int(w * warp_size + lane);
  }
  return -1;
}

void Runner::leave() {
  const uint32_t from = thread;
  int next = next_ready();
  if (next < 0) stuck();
  thread = uint32_t(next);
  fiber_switch(&fibers[from], fibers[thread]);
}

void Runner::end_thread() {
  if (races) detector.settle(*this);
  thread_table[thread].ended = true;
  if (++ended == threads) {
    Fiber dropped;
    fiber_switch(&dropped, host);
  }
  leave();
}

Wait Runner::wait_of(uint32_t t) const {
  const Warp &w = warps[t / warp_size];
  uint32_t lane = 1u << t % warp_size;
  if (w.arrived & lane) return {w.op, w.site};
  if (w.blocked & lane) return {Op::sync_block, barrier};
  return {Op::none, {}};
}

// stuck says why no thread can go on: some wait for others that do not come.
void Runner::stuck() {
  uint32_t waits = threads, other = threads;
  for (uint32_t t = 0; t < threads && waits == threads; t++)
    if (wait_of(t).op > Op::sync_block) waits = t;
  if (waits < threads) { // in a warp's collective: who of the warp is not there?
    uint32_t first = waits / warp_size * warp_size;
    for (uint32_t t = first; t < threads && t < first + warp_size && other == threads; t++)
      if (wait_of(t).op != wait_of(waits).op) other = t;
  } else { // at the block's barrier: who has ended?
    for (uint32_t t = 0; t < threads; t++) {
      if (waits == threads && wait_of(t).op == Op::sync_block) waits = t;
      if (other == threads && thread_table[t].ended) other = t;
    }
  }
  thread = waits;
  const Wait here = wait_of(waits);
  if (other == threads)
    fail("divergence: waits at %s (%s:%u), but its warp has only %u threads", op_name(here.op), base_name(here.site.file), here.site.line,
         threads % warp_size);
  diverge(other, here.op, here.site);
}

void Runner::diverge(uint32_t other, Op op, Site site) {
  if (thread_table[other].ended)
    fail("divergence: waits at %s (%s:%u), but thread %u has ended", op_name(op), base_name(site.file), site.line, other);
  const Wait there = wait_of(other);
  fail("divergence: waits at %s (%s:%u), but thread %u waits at %s (%s:%u)", op_name(op), base_name(site.file), site.line, other,
       op_name(there.op), base_name(there.site.file), there.site.line);
}

// arrive counts a lane in; on return the collective has taken place. It and what it ends with, for nothing follows a switch, are where
// a kernel's time goes.
inline void Runner::arrive(Warp &w, uint32_t lane, Op op, Site site) {
  bool first = !w.arrived, known = w.op == op && w.site.line == site.line && w.site.file == site.file;
  if (__builtin_expect(races || !(first || known), 0)) return arrive_checked(w, lane, op, site);
  join(w, lane, op, site);
}

void Runner::arrive_checked(Warp &w, uint32_t lane, Op op, Site site) {
  if (races) detector.settle(*this);
  if (w.arrived && (w.op != op || !same(w.site, site))) diverge(thread - lane + uint32_t(__builtin_ctz(w.arrived)), op, site);
  join(w, lane, op, site);
}

inline void Runner::join(Warp &w, uint32_t lane, Op op, Site site) {
  w.op = op;
  w.site = site;
  w.arrived |= 1u << lane;
  if (w.arrived == ~0u) return complete(w, lane);
  if (!w.ready) return leave();
  const uint32_t from = thread;
  thread = from - lane + take_lane(w);
  fiber_switch(&fibers[from], fibers[thread]);
}

// complete does for all what the lanes of a warp came for, and leaves the last of them running.
void Runner::complete(Warp &w, uint32_t lane) {
  if (w.op == Op::mma) {
    mma(w.shares);
  } else if (w.op == Op::ldmatrix || w.op == Op::ldmatrix_trans) {
    load_matrices(w.shares, w.op == Op::ldmatrix_trans);
  } else if (w.op == Op::ballot) {
    uint32_t mask = 0;
    for (uint32_t i = 0; i < warp_size; i++) mask |= uint32_t(w.values[i] != 0) << i;
    exchanged[thread / warp_size][0] = mask;
  } else if (w.op == Op::sync_warp) {
    w.epoch++;
  } else {
    memcpy(exchanged[thread / warp_size], w.values, sizeof w.values);
  }
  w.arrived = 0;
  w.ready |= ~(1u << lane);
}

const Array *Runner::array_of(const char *at) const {
  for (const Array &a : arrays)
    if (at >= a.base && at < a.base + a.bytes) return &a;
  return &arrays[0];
}

static Runner &runner(Block &b) { return static_cast<Runner &>(b); }

static void sync_block(Block &b, Site site) {
  Runner &r = runner(b);
  if (r.races) r.detector.settle(r);
  if (!r.arrived) {
    r.first_arrived = r.thread;
    r.barrier = site;
  } else if (!same(r.barrier, site)) {
    r.diverge(r.first_arrived, Op::sync_block, site);
  }
  if (++r.arrived < r.threads) {
    r.warps[r.thread / warp_size].blocked |= 1u << r.thread % warp_size;
    r.leave();
    return;
  }
  r.arrived = 0;
  r.detector.next_epoch();
  for (Warp &w : r.warps) {
    w.ready |= w.blocked;
    w.blocked = 0;
  }
}

static void exchange(Block &b, Op op, uint32_t value, Site site) {
  Runner &r = runner(b);
  Warp &w = r.warps[r.thread / warp_size];
  const uint32_t lane = r.thread % warp_size;
  w.values[lane] = value;
  r.arrive(w, lane, op, site);
}

static void together(Block &b, Op op, void *share, Site site) {
  Runner &r = runner(b);
  Warp &w = r.warps[r.thread / warp_size];
  const uint32_t lane = r.thread % warp_size;
  w.shares[lane] = share;
  r.arrive(w, lane, op, site);
}

static void copy_async(Block &b, char *to, const char *from) {
  Thread &t = runner(b).thread_table[b.thread];
  t.copies.push_back({to, from, t.groups});
}

static void copy_commit(Block &b) { runner(b).thread_table[b.thread].groups++; }

static void copy_wait(Block &b, uint32_t left) {
  Runner &r = runner(b);
  Thread &t = r.thread_table[b.thread];
  size_t done = 0;
  for (; done < t.copies.size() && t.copies[done].group + left < t.groups; done++) {
    const Copy &c = t.copies[done];
    if (r.races) r.detector.write(r, c.to, 16);
    if (c.from)
      memcpy(c.to, c.from, 16);
    else
      memset(c.to, 0, 16);
  }
  t.copies.erase(t.copies.begin(), t.copies.begin() + long(done));
}

// shared places an array where its type's alignment holds and no larger one does: what relies on more shows.
static char *shared(Block &b, const void *key, const char *name, uint64_t bytes, uint32_t align) {
  Runner &r = runner(b);
  uint64_t all = 0;
  for (size_t i = 1; i < r.arrays.size(); i++) {
    if (r.arrays[i].key == key) return r.arrays[i].base;
    all += r.arrays[i].bytes;
  }
  uint64_t at = (r.arena_used + align - 1) / align * align;
  if (align < 16 && at / align % 2 == 0) at += align;
  if (all + bytes > most_static)
    r.fail("shared array \"%s\" of %llu bytes: the kernel's SHARED arrays would be %llu bytes, the limit is %u", name,
           static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(all + bytes), most_static);
  if (all + bytes + r.dynamic_bytes > r.launch->allowed || at + bytes > most_shared)
    r.fail("shared array \"%s\" of %llu bytes: with %llu of other SHARED arrays and %u dynamic ones the block would have more than the %u it may",
           name, static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(all), r.dynamic_bytes, r.launch->allowed);
  char *base = r.arena + at;
  r.arena_used = at + bytes;
  memset(base, 0xff, bytes);
  r.arrays.push_back({key, name, base, bytes});
  return base;
}

static void touch(Block &b, const char *at, uint64_t bytes) { runner(b).detector.touch(runner(b), at, bytes); }
static void read(Block &b, const char *at, uint64_t bytes) { runner(b).detector.read(runner(b), at, bytes); }
static void write(Block &b, const char *at, uint64_t bytes) { runner(b).detector.write(runner(b), at, bytes); }

static Never bad_shared(Block &b, const char *base, uint64_t size, int64_t offset, uint32_t bytes, uint32_t align) {
  Runner &r = runner(b);
  const char *name = "?";
  for (const Array &a : r.arrays)
    if (a.base == base && a.bytes == size) name = a.name;
  const char *what = offset < 0 || offset > int64_t(size) - int64_t(bytes) ? "out of bounds" : "misaligned";
  r.fail("%s: %u bytes at offset %lld of shared array \"%s\" of %llu bytes, alignment %u", what, bytes,
         static_cast<long long>(offset), name, static_cast<unsigned long long>(size), align);
}

static Never bad_global(Block &b, const char *base, uint64_t size, int64_t offset, uint32_t bytes, uint32_t align) {
  Runner &r = runner(b);
  if (!base) {
    uint64_t slot = uint64_t(offset) >> slot_shift;
    const char *why = slot == 0 ? "null" : slot < b.slot_count ? "released" : "not an allocation's";
    r.fail("out of bounds: %u bytes at address 0x%llx, which is %s", bytes, static_cast<unsigned long long>(offset), why);
  }
  uint64_t address = 0;
  for (uint64_t i = 1; i < b.slot_count && !address; i++)
    if (b.slots[i].base == base) address = i << slot_shift;
  const char *what = offset < 0 || offset > int64_t(size) - int64_t(bytes) ? "out of bounds" : "misaligned";
  r.fail("%s: %u bytes at offset %lld of the allocation 0x%llx of %llu bytes, alignment %u", what, bytes,
         static_cast<long long>(offset), static_cast<unsigned long long>(address), static_cast<unsigned long long>(size), align);
}

// Kernels follow one another: what those ahead have not written when a kernel asks nobody will write.
static void pause(Block &b) { runner(b).fail("waits for a count that no kernel ahead has reached"); }

const Runtime runtime = {sync_block, exchange, together, copy_async, copy_commit, copy_wait, pause, shared, touch, read, write, bad_global, bad_shared};

} // namespace emulated
