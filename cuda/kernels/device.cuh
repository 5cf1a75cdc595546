// What a kernel may use of a GPU. Two implementations of one set of names: this one for a GPU, and the emulator's, which
// runs blocks, warps and barriers on the host and checks every access (../emulator/emulated.hpp). Kernels use these names
// alone, so that the same sources run on both.
//
//   KERNEL(name, Args, threads) { … a.field … }   an entry point with one argument struct `a`
//   KERNEL_RESIDENT(…, blocks) { … }              the same, in so few registers that so many blocks run on a multiprocessor
//   Global<T>, global<T>(address)                 pointers to device memory; p[i], p + i (not &p[i]), converts T → const T
//   cast<U>(p)                                    a Global or Shared pointer to other elements
//   SHARED(T, name, count), DYNAMIC_SHARED(T, name)  shared memory; Shared<T> where a function takes it. An array has its
//                                                 type's alignment and no more: SHARED(u32x4, …) for vectors
//   load16 load_stream store16                    16 bytes at once (u32x4), aligned; stream: read once, do not keep
//   sync_block sync_warp shuffle shuffle_xor ballot  collectives: every thread of the block (warp) must take part
//   mma_f16 ldmatrix_x4(_trans)                   tensor cores, whole warps
//   prefetch                                      asks the L2 cache for the 128 bytes around an address in global memory
//   cp_async16 cp_async_commit cp_async_wait<N>   global → shared copies in the background
//   atomic_add load_acquire thread_fence          on u32 in global memory
//   pause<nanoseconds>                            a short sleep
//   let_next_begin wait_for_previous              see below
#pragma once

#ifdef PEREGRINE_EMULATED
#include "emulated.hpp"
#else

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef int i32;

#define PEREGRINE_DEVICE __attribute__((device))
#define DEVICE static inline PEREGRINE_DEVICE __attribute__((always_inline))
#define KERNEL(name, Args, threads)                                                                                       \
  extern "C" __attribute__((global)) __attribute__((launch_bounds(threads))) void name(const Args a)
#define KERNEL_RESIDENT(name, Args, threads, blocks)                                                                      \
  extern "C" __attribute__((global)) __attribute__((launch_bounds(threads, blocks))) void name(const Args a)
#define SHARED(T, name, count) static __attribute__((shared)) T name[count]
#define DYNAMIC_SHARED(T, name)                                                                                           \
  extern __attribute__((shared)) u32x4 peregrine_dynamic_shared[];                                                        \
  T *name = reinterpret_cast<T *>(peregrine_dynamic_shared)
#define UNROLL _Pragma("unroll")
#define ROLLED _Pragma("nounroll") // addresses of all rounds at once cost registers

struct alignas(16) u32x4 {
  u32 x, y, z, w;
};

#include "args.h"

template <class T> using Global = T *;
template <class T> using Shared = T *;
template <class T> DEVICE T *global(pg_ptr address) { return reinterpret_cast<T *>(address); }

template <class U, class T> DEVICE U *cast(T *p) { return reinterpret_cast<U *>(p); }

DEVICE u32 thread_x() { return __nvvm_read_ptx_sreg_tid_x(); }
DEVICE u32 block_x() { return __nvvm_read_ptx_sreg_ctaid_x(); }
DEVICE u32 block_y() { return __nvvm_read_ptx_sreg_ctaid_y(); }
DEVICE u32 block_z() { return __nvvm_read_ptx_sreg_ctaid_z(); }
DEVICE u32 block_threads() { return __nvvm_read_ptx_sreg_ntid_x(); }
DEVICE u32 grid_x() { return __nvvm_read_ptx_sreg_nctaid_x(); }
DEVICE u32 grid_y() { return __nvvm_read_ptx_sreg_nctaid_y(); }
DEVICE u32 lane_id() { return __nvvm_read_ptx_sreg_tid_x() % 32; }
DEVICE u32 warp_id() { return __nvvm_read_ptx_sreg_tid_x() / 32; }

DEVICE void sync_block() { __syncthreads(); }
DEVICE void sync_warp() { __nvvm_bar_warp_sync(0xffffffffu); }
DEVICE u32 shuffle(u32 v, u32 lane) { return __nvvm_shfl_sync_idx_i32(0xffffffffu, v, lane, 31); }
DEVICE float shuffle(float v, u32 lane) { return __nvvm_shfl_sync_idx_f32(0xffffffffu, v, lane, 31); }
DEVICE u32 shuffle_xor(u32 v, u32 mask) { return __nvvm_shfl_sync_bfly_i32(0xffffffffu, v, mask, 31); }
DEVICE float shuffle_xor(float v, u32 mask) { return __nvvm_shfl_sync_bfly_f32(0xffffffffu, v, mask, 31); }
DEVICE u32 ballot(bool v) { return __nvvm_vote_ballot_sync(0xffffffffu, v); }

DEVICE u32x4 load16(const void *p) { return *reinterpret_cast<const u32x4 *>(p); }
DEVICE u32x4 load_stream(const void *p) {
  u32x4 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p));
  return v;
}
DEVICE void prefetch(const void *p) { asm volatile("prefetch.global.L2 [%0];" ::"l"(p)); }
DEVICE void store16(void *p, u32x4 v) { *reinterpret_cast<u32x4 *>(p) = v; }

DEVICE u32 atomic_add(u32 *p, u32 v) { return __nvvm_atom_add_gen_i(reinterpret_cast<int *>(p), int(v)); }
DEVICE void thread_fence() { asm volatile("fence.acq_rel.gpu;" ::: "memory"); }
DEVICE u32 load_acquire(const u32 *p) {
  u32 v;
  asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
  return v;
}

// Programmatic dependent launch. A launch that may begin early (driver.Stream.LaunchEarly) starts once every block of the kernel
// ahead has called let_next_begin or has ended; what it does before wait_for_previous may touch only what no kernel of the
// sequence writes. After wait_for_previous all kernels ahead have finished, and their writes are seen, because each of them
// waits too. Below compute capability 9.0 both do nothing, as kernels follow one another.
#if __CUDA_ARCH__ >= 900
DEVICE void let_next_begin() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }
DEVICE void wait_for_previous() { asm volatile("griddepcontrol.wait;" ::: "memory"); }
#else
DEVICE void let_next_begin() {}
DEVICE void wait_for_previous() {}
#endif

// shared_address is where a pointer to shared memory points. The cast, unlike an instruction, lets the compiler see where p comes from
// and reckon in 32 bits.
DEVICE u32 shared_address(const void *p) { return u32(reinterpret_cast<u64>((const __attribute__((address_space(3))) void *)p)); }
// pause lets others run for about so many ns.
template <u32 Nanoseconds> DEVICE void pause() { asm volatile("nanosleep.u32 %0;" ::"n"(Nanoseconds) : "memory"); }
// cp_async16 copies 16 bytes, or writes zeros where !valid (p must be an address all the same).
DEVICE void cp_async16(void *to, const void *p, bool valid = true) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(p), "r"(valid ? 16 : 0) : "memory");
}
DEVICE void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N> DEVICE void cp_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

// mma_f16: c[16×8] += a[16×16] · b[16×8], f16 in, f32 out; m16n8k16 fragments.
DEVICE void mma_f16(float (&c)[4], const u32 (&a)[4], const u32 (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// ldmatrix_x4 reads four 8×8 matrices of f16; lanes 8i…8i+7 give the addresses of the eight rows of matrix i.
DEVICE void ldmatrix_x4(u32 (&v)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3])
               : "r"(shared_address(row))
               : "memory");
}
DEVICE void ldmatrix_x4_trans(u32 (&v)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(v[0]), "=r"(v[1]), "=r"(v[2]), "=r"(v[3])
               : "r"(shared_address(row))
               : "memory");
}

// f16 is kept as bits: one in a u16, two in a u32, the lower index in the lower half.
DEVICE u32 pack_f16(float low, float high) {
  u32 v;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(v) : "f"(high), "f"(low));
  return v;
}
DEVICE u16 to_f16(float x) {
  u16 v;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(v) : "f"(x));
  return v;
}
DEVICE float from_f16(u16 x) {
  float v;
  asm("cvt.f32.f16 %0, %1;" : "=f"(v) : "h"(x));
  return v;
}
DEVICE u32 add_f16x2(u32 a, u32 b) {
  u32 v;
  asm("add.rn.f16x2 %0, %1, %2;" : "=r"(v) : "r"(a), "r"(b));
  return v;
}
DEVICE u32 sub_f16x2(u32 a, u32 b) {
  u32 v;
  asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(v) : "r"(a), "r"(b));
  return v;
}
DEVICE u32 mul_f16x2(u32 a, u32 b) {
  u32 v;
  asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(v) : "r"(a), "r"(b));
  return v;
}
DEVICE u32 fma_f16x2(u32 a, u32 b, u32 c) {
  u32 v;
  asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(v) : "r"(a), "r"(b), "r"(c));
  return v;
}
// byte_permute picks bytes of b:a (a is bytes 0–3) by the nibbles of selector (prmt).
DEVICE u32 byte_permute(u32 a, u32 b, u32 selector) {
  u32 v;
  asm("prmt.b32 %0, %1, %2, %3;" : "=r"(v) : "r"(a), "r"(b), "r"(selector));
  return v;
}

// and_or is (a & mask) | bits in one instruction, whatever the compiler thinks of constants in registers.
DEVICE u32 and_or(u32 a, u32 mask, u32 bits) {
  u32 v;
  asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(v) : "r"(a), "r"(mask), "r"(bits));
  return v;
}

DEVICE float bits_to_f32(u32 x) { return __builtin_bit_cast(float, x); }
DEVICE u32 f32_to_bits(float x) { return __builtin_bit_cast(u32, x); }
DEVICE float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DEVICE float square_root(float x) { return __builtin_sqrtf(x); }
DEVICE float exp2_approx(float x) { // 2 ulp
  float v;
  asm("ex2.approx.f32 %0, %1;" : "=f"(v) : "f"(x));
  return v;
}
#endif

DEVICE float from_bf16(u16 x) { return bits_to_f32(u32(x) << 16); }
template <class T> DEVICE T min(T a, T b) { return b < a ? b : a; }
template <class T> DEVICE T max(T a, T b) { return a < b ? b : a; }
// clamp_f16 keeps a value inside f16's range; NaN stays NaN.
DEVICE float clamp_f16(float v) { return v > 65504.0f ? 65504.0f : v < -65504.0f ? -65504.0f : v; }
