// The names of ../kernels/device.cuh on the host. Pointers know their allocation, so that every access is checked; threads of
// a block take turns at collectives (runner.cc). A module is a .cc file that includes this, then its kernel source in an
// unnamed namespace, so that modules may use the same names; see module.hpp.
#pragma once

#ifndef PEREGRINE_EMULATED
#define PEREGRINE_EMULATED
#endif

#include "args.h"
#include "block.hpp"
#include "half.hpp"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;

struct alignas(16) u32x4 {
  u32 x, y, z, w;
};

namespace emulated {
// All of this is the module's own: templates of the same name in two modules would be one, and one block with them.
namespace {

thread_local Block *block;
const Kernel *kernels; // of this module

template <class T> struct plain { typedef T type; };
template <class T> struct plain<const T> { typedef T type; };
template <class T> struct is_const { static constexpr bool value = false; };
template <class T> struct is_const<const T> { static constexpr bool value = true; };
template <bool> struct only_if {};
template <> struct only_if<true> { typedef int type; };

struct GlobalSpace {
  static Never bad(const char *base, u64 size, int64_t offset, u32 bytes, u32 align) {
    return block->runtime->bad_global(*block, base, size, offset, bytes, align);
  }
};
struct SharedSpace {
  static Never bad(const char *base, u64 size, int64_t offset, u32 bytes, u32 align) {
    return block->runtime->bad_shared(*block, base, size, offset, bytes, align);
  }
};

// A pointer into one allocation or shared array: base and size are its, offset is in bytes and may leave it; an access may
// not. Without a base, offset is the address that belongs to nothing.
template <class T, class Space> class Pointer {
  char *base = nullptr;
  u64 size = 0;
  int64_t offset = 0;

  template <class, class> friend class Pointer;
  void check(int64_t at, u32 bytes, u32 align) const {
    int64_t last = int64_t(size) - bytes;
    if (__builtin_expect(at < 0 || at > last || (u64(base) + at) % align, 0)) {
      Space::bad(base, size, at, bytes, align);
      __builtin_unreachable();
    }
  }

public:
  Pointer() = default;
  Pointer(char *base, u64 size, int64_t offset) : base(base), size(size), offset(offset) {}
  template <class U, typename only_if<is_const<T>::value && !is_const<U>::value &&
                                      __is_same(typename plain<T>::type, U)>::type = 0>
  Pointer(const Pointer<U, Space> &p) : base(p.base), size(p.size), offset(p.offset) {}

  // at checks an access to so many bytes here and returns where they are.
  T *at(u32 bytes, u32 align, int64_t index = 0) const {
    int64_t where = offset + index * int64_t(sizeof(T));
    check(where, bytes, align);
    return reinterpret_cast<T *>(base + where);
  }
  T &operator[](int64_t index) const {
    T *p = at(sizeof(T), alignof(T), index);
    if (__is_same(Space, SharedSpace) && __builtin_expect(block->races, 0))
      (is_const<T>::value ? block->runtime->read : block->runtime->touch)(*block, reinterpret_cast<const char *>(p), sizeof(T));
    return *p;
  }
  T &operator*() const { return (*this)[0]; }
  T *operator->() const { return &(*this)[0]; }
  explicit operator bool() const { return base || offset; }

  Pointer operator+(int64_t n) const { return {base, size, offset + n * int64_t(sizeof(T))}; }
  Pointer operator-(int64_t n) const { return {base, size, offset - n * int64_t(sizeof(T))}; }
  int64_t operator-(const Pointer &p) const { return (offset - p.offset) / int64_t(sizeof(T)); }
  Pointer &operator+=(int64_t n) { return *this = *this + n; }
  Pointer &operator-=(int64_t n) { return *this = *this - n; }
  Pointer &operator++() { return *this += 1; }
  Pointer &operator--() { return *this -= 1; }
  bool operator==(const Pointer &p) const { return base == p.base && offset == p.offset; }
  bool operator!=(const Pointer &p) const { return !(*this == p); }
  bool operator<(const Pointer &p) const { return offset < p.offset; }

  template <class U> Pointer<U, Space> as() const {
    static_assert(is_const<U>::value || !is_const<T>::value, "a cast may not drop const");
    return {base, size, offset};
  }
};

template <class T> Pointer<T, SharedSpace> shared_array(const void *key, const char *name, u64 count) {
  u64 bytes = count * sizeof(T);
  return {block->runtime->shared(*block, key, name, bytes, alignof(T)), bytes, 0};
}

struct Module {
  explicit Module(Kernel *k) {
    k->next = kernels;
    kernels = k;
  }
};

} // namespace
} // namespace emulated

#define PEREGRINE_DEVICE
#define DEVICE static inline
#define UNROLL
#define ROLLED
#define KERNEL(name, Args, most)                                                                                          \
  static void name(const Args &);                                                                                         \
  static void name##_entry(emulated::Block *b, const void *args) {                                                        \
    emulated::block = b;                                                                                                  \
    name(*static_cast<const Args *>(args));                                                                               \
  }                                                                                                                       \
  static emulated::Kernel name##_kernel = {#name, sizeof(Args), most, name##_entry, nullptr};                             \
  static const emulated::Module name##_listed(&name##_kernel);                                                            \
  static void name([[maybe_unused]] const Args &a)
#define KERNEL_RESIDENT(name, Args, most, blocks) KERNEL(name, Args, most)
#define SHARED(T, name, count)                                                                                            \
  static char name##_key;                                                                                                 \
  const Shared<T> name = emulated::shared_array<T>(&name##_key, #name, count)
#define DYNAMIC_SHARED(T, name) const Shared<T> name(emulated::block->dynamic, emulated::block->dynamic_bytes, 0)

template <class T> using Global = emulated::Pointer<T, emulated::GlobalSpace>;
template <class T> using Shared = emulated::Pointer<T, emulated::SharedSpace>;

template <class T> DEVICE Global<T> global(pg_ptr address) {
  u64 slot = address >> emulated::slot_shift, offset = address & ((u64(1) << emulated::slot_shift) - 1);
  if (slot < emulated::block->slot_count) {
    char *base = __atomic_load_n(&emulated::block->slots[slot].base, __ATOMIC_ACQUIRE);
    if (base) return {base, emulated::block->slots[slot].size, int64_t(offset)};
  }
  return {nullptr, 0, int64_t(address)};
}
template <class U, class T, class Space> DEVICE emulated::Pointer<U, Space> cast(const emulated::Pointer<T, Space> &p) {
  return p.template as<U>();
}

DEVICE u32 thread_x() { return emulated::block->thread; }
DEVICE u32 block_x() { return emulated::block->id[0]; }
DEVICE u32 block_y() { return emulated::block->id[1]; }
DEVICE u32 block_z() { return emulated::block->id[2]; }
DEVICE u32 block_threads() { return emulated::block->threads; }
DEVICE u32 grid_x() { return emulated::block->grid[0]; }
DEVICE u32 grid_y() { return emulated::block->grid[1]; }
DEVICE u32 lane_id() { return emulated::block->thread % 32; }
DEVICE u32 warp_id() { return emulated::block->thread / 32; }

// Collectives know where they are called: lanes that meet at different places do not meet.
#define PEREGRINE_SITE const char *file = __builtin_FILE(), u32 line = __builtin_LINE()

DEVICE void sync_block(PEREGRINE_SITE) { emulated::block->runtime->sync_block(*emulated::block, {file, line}); }
DEVICE void sync_warp(PEREGRINE_SITE) {
  emulated::block->runtime->exchange(*emulated::block, emulated::Op::sync_warp, 0, {file, line});
}
DEVICE u32 shuffle(u32 v, u32 lane, PEREGRINE_SITE) {
  emulated::block->runtime->exchange(*emulated::block, emulated::Op::shuffle, v, {file, line});
  return emulated::block->results[warp_id()][lane % 32];
}
DEVICE float shuffle(float v, u32 lane, PEREGRINE_SITE) {
  return emulated::f32_of_bits(shuffle(emulated::bits_of_f32(v), lane, file, line));
}
DEVICE u32 shuffle_xor(u32 v, u32 mask, PEREGRINE_SITE) { return shuffle(v, lane_id() ^ mask, file, line); }
DEVICE float shuffle_xor(float v, u32 mask, PEREGRINE_SITE) { return shuffle(v, lane_id() ^ mask, file, line); }
DEVICE u32 ballot(bool v, PEREGRINE_SITE) {
  emulated::block->runtime->exchange(*emulated::block, emulated::Op::ballot, v, {file, line});
  return emulated::block->results[warp_id()][0];
}

namespace emulated {
namespace {
template <class T> u32x4 load(const Pointer<T, GlobalSpace> &p) {
  return *reinterpret_cast<const u32x4 *>(p.at(16, 16));
}
template <class T> u32x4 load(const Pointer<T, SharedSpace> &p) {
  T *at = p.at(16, 16);
  if (block->races) block->runtime->read(*block, reinterpret_cast<const char *>(at), 16);
  return *reinterpret_cast<const u32x4 *>(at);
}
template <class T> void store(const Pointer<T, GlobalSpace> &p, const u32x4 &v) {
  *reinterpret_cast<u32x4 *>(p.at(16, 16)) = v;
}
template <class T> void store(const Pointer<T, SharedSpace> &p, const u32x4 &v) {
  T *at = p.at(16, 16);
  if (block->races) block->runtime->write(*block, reinterpret_cast<const char *>(at), 16);
  *reinterpret_cast<u32x4 *>(at) = v;
}
} // namespace
} // namespace emulated

template <class T, class Space> DEVICE u32x4 load16(const emulated::Pointer<T, Space> &p) { return emulated::load(p); }
template <class T> DEVICE u32x4 load_stream(const Global<T> &p) { return emulated::load(p); }
template <class T> DEVICE void prefetch(const Global<T> &) {} // harmless anywhere, and seen by nobody
template <class T, class Space> DEVICE void store16(const emulated::Pointer<T, Space> &p, u32x4 v) { emulated::store(p, v); }

DEVICE u32 atomic_add(Global<u32> p, u32 v) { return __atomic_fetch_add(p.at(4, 4), v, __ATOMIC_SEQ_CST); }
DEVICE u32 load_acquire(Global<const u32> p) { return p[0]; }
// Kernels follow one another.
DEVICE void let_next_begin() {}
DEVICE void wait_for_previous() {}
DEVICE void thread_fence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

template <u32> DEVICE void pause() { emulated::block->runtime->pause(*emulated::block); }

// The source is read, and the copy made, when it is waited for.
template <class T, class U> DEVICE void cp_async16(const Shared<T> &to, const Global<U> &p, bool valid = true) {
  char *there = reinterpret_cast<char *>(to.at(16, 16));
  emulated::block->runtime->copy_async(*emulated::block, there,
                                       valid ? reinterpret_cast<const char *>(p.at(16, 16)) : nullptr);
}
DEVICE void cp_async_commit() { emulated::block->runtime->copy_commit(*emulated::block); }
template <int N> DEVICE void cp_async_wait() { emulated::block->runtime->copy_wait(*emulated::block, N); }

DEVICE void mma_f16(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2], PEREGRINE_SITE) {
  emulated::MmaShare share = {c, a, b};
  emulated::block->runtime->together(*emulated::block, emulated::Op::mma, &share, {file, line});
}
namespace emulated {
namespace {
template <class T> void matrices(Op op, u32 (&v)[4], const Pointer<T, SharedSpace> &row, Site site) {
  MatrixShare share = {v, reinterpret_cast<const char *>(row.at(16, 16))};
  if (block->races) block->runtime->read(*block, share.row, 16);
  block->runtime->together(*block, op, &share, site);
}
} // namespace
} // namespace emulated
template <class T> DEVICE void ldmatrix_x4(u32 (&v)[4], const Shared<T> &row, PEREGRINE_SITE) {
  emulated::matrices(emulated::Op::ldmatrix, v, row, {file, line});
}
template <class T> DEVICE void ldmatrix_x4_trans(u32 (&v)[4], const Shared<T> &row, PEREGRINE_SITE) {
  emulated::matrices(emulated::Op::ldmatrix_trans, v, row, {file, line});
}

DEVICE u16 to_f16(float x) { return emulated::f16_of_f32(x); }
DEVICE float from_f16(u16 x) { return emulated::f32_of_f16(x); }
DEVICE u32 pack_f16(float low, float high) { return to_f16(low) | u32(to_f16(high)) << 16; }
// Sums and products of f16 are rounded twice here, to f32 and to f16, which gives the same bits: 24 ≥ 2·11 + 2.
DEVICE u32 add_f16x2(u32 a, u32 b) {
  return pack_f16(from_f16(u16(a)) + from_f16(u16(b)), from_f16(u16(a >> 16)) + from_f16(u16(b >> 16)));
}
DEVICE u32 sub_f16x2(u32 a, u32 b) {
  return pack_f16(from_f16(u16(a)) - from_f16(u16(b)), from_f16(u16(a >> 16)) - from_f16(u16(b >> 16)));
}
DEVICE u32 mul_f16x2(u32 a, u32 b) {
  return pack_f16(from_f16(u16(a)) * from_f16(u16(b)), from_f16(u16(a >> 16)) * from_f16(u16(b >> 16)));
}
DEVICE u32 fma_f16x2(u32 a, u32 b, u32 c) {
  u32 low = emulated::f16_of_f64(double(from_f16(u16(a))) * from_f16(u16(b)) + from_f16(u16(c)));
  u32 high = emulated::f16_of_f64(double(from_f16(u16(a >> 16))) * from_f16(u16(b >> 16)) + from_f16(u16(c >> 16)));
  return low | high << 16;
}
DEVICE u32 and_or(u32 a, u32 mask, u32 bits) { return (a & mask) | bits; }
DEVICE u32 byte_permute(u32 a, u32 b, u32 selector) {
  u64 bytes = u64(b) << 32 | a;
  u32 v = 0;
  for (u32 i = 0; i < 4; i++) {
    u32 pick = selector >> 4 * i, byte = u32(bytes >> 8 * (pick % 8)) & 0xff;
    if (pick & 8) byte = byte & 0x80 ? 0xff : 0; // the sign, repeated
    v |= byte << 8 * i;
  }
  return v;
}

DEVICE float bits_to_f32(u32 x) { return emulated::f32_of_bits(x); }
DEVICE u32 f32_to_bits(float x) { return emulated::bits_of_f32(x); }
DEVICE float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DEVICE float square_root(float x) { return __builtin_sqrtf(x); }
DEVICE float exp2_approx(float x) { return __builtin_exp2f(x); }
