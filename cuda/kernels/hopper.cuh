// What a kernel for compute capability 9.0 may use beside device.cuh: barriers in shared memory, bulk copies, and the tensor
// cores' asynchronous products (PTX ISA, "Asynchronous warpgroup level matrix instructions"). The emulator has none of it.
#pragma once
#include "device.cuh"

// A barrier of shared memory: a phase ends when `arrivals` threads have come and all announced bytes have been copied.
typedef u64 barrier;

DEVICE void barrier_init(barrier *b, u32 arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(b)), "r"(arrivals) : "memory");
}
// publish_barriers lets bulk copies see what barrier_init wrote; sync_block after it lets the block's threads.
DEVICE void publish_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
DEVICE void barrier_arrive(barrier *b) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(b)) : "memory");
}
// barrier_expect arrives, and announces bytes that bulk_copy will bring.
DEVICE void barrier_expect(barrier *b, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(b)), "r"(bytes) : "memory");
}
// barrier_wait returns when the phase of that parity is over; the phase before the first has parity 1.
DEVICE void barrier_wait(barrier *b, u32 parity) {
  u32 over;
  do {
    asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2; selp.u32 %0, 1, 0, p; }"
                 : "=r"(over)
                 : "r"(shared_address(b)), "r"(parity)
                 : "memory");
  } while (!over);
}
// bulk_copy starts a copy from global to shared memory, whose end b counts. Addresses and bytes are multiples of 16.
DEVICE void bulk_copy(void *to, const void *from, u32 bytes, barrier *b) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(shared_address(to)),
               "l"(from), "r"(bytes), "r"(shared_address(b))
               : "memory");
}
// sync_threads waits for so many threads of the block, whole warps; names 1 to 15.
template <u32 Name, u32 Threads> DEVICE void sync_threads() {
  asm volatile("bar.sync %0, %1;" ::"n"(Name), "n"(Threads) : "memory");
}

DEVICE float reciprocal_approx(float x) { // 1 ulp
  float v;
  asm("rcp.approx.f32 %0, %1;" : "=f"(v) : "f"(x));
  return v;
}

// take_registers and give_registers set how many registers a thread of this warpgroup has, a multiple of 8; all its warps take part.
// Taking waits until others gave enough.
template <u32 N> DEVICE void take_registers() { asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N)); }
template <u32 N> DEVICE void give_registers() { asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N)); }

// product_fence stands before the first product after registers of sums or weights were written.
DEVICE void product_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
DEVICE void product_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// product_wait waits until at most so many groups of products run, the latest; registers and shared memory of products that
// run must be left alone.
template <u32 Running> DEVICE void product_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(Running) : "memory"); }

// matrix_at describes a B matrix, K by N, made of core matrices without swizzle: 8 columns, each with 16 bytes of the K dimension,
// one after the other. along_k and along_n are bytes to the next core matrix.
DEVICE u64 matrix_at(const void *p, u32 along_k, u32 along_n) {
  return u64((shared_address(p) & 0x3ffff) >> 4) | u64(along_k >> 4) << 16 | u64(along_n >> 4) << 32;
}

#define P4(a, b, c, d) "%" #a ", %" #b ", %" #c ", %" #d ", "
#define D4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define D32(i) D4(i), D4(i + 4), D4(i + 8), D4(i + 12), D4(i + 16), D4(i + 20), D4(i + 24), D4(i + 28)
#define P0_31 P4(0, 1, 2, 3) P4(4, 5, 6, 7) P4(8, 9, 10, 11) P4(12, 13, 14, 15) P4(16, 17, 18, 19) P4(20, 21, 22, 23) P4(24, 25, 26, 27)
#define P32_63                                                                                                             \
  P4(32, 33, 34, 35) P4(36, 37, 38, 39) P4(40, 41, 42, 43) P4(44, 45, 46, 47) P4(48, 49, 50, 51) P4(52, 53, 54, 55)          \
  P4(56, 57, 58, 59)
#define P64_127                                                                                                            \
  P4(64, 65, 66, 67) P4(68, 69, 70, 71) P4(72, 73, 74, 75) P4(76, 77, 78, 79) P4(80, 81, 82, 83) P4(84, 85, 86, 87)          \
  P4(88, 89, 90, 91) P4(92, 93, 94, 95) P4(96, 97, 98, 99) P4(100, 101, 102, 103) P4(104, 105, 106, 107)                     \
  P4(108, 109, 110, 111) P4(112, 113, 114, 115) P4(116, 117, 118, 119) P4(120, 121, 122, 123)
#define A4 "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b)

// product starts d[64×N] += a[64×16] · b[16×N] of a warpgroup, f16 in, f32 out. Warp w has the rows from 16·w on; a is its
// m16n8k16 fragment, d[4j…4j+3] that of the columns 8j…8j+7.
DEVICE void product(float (&d)[32], const u32 (&a)[4], u64 b) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {" P0_31 "%28, %29, %30, %31}, {%32, %33, %34, %35}, %36, 1, 1, 1, 0;"
               : D32(0)
               : A4);
}
DEVICE void product(float (&d)[64], const u32 (&a)[4], u64 b) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 {" P0_31 P4(28, 29, 30, 31) P32_63
               "%60, %61, %62, %63}, {%64, %65, %66, %67}, %68, 1, 1, 1, 0;"
               : D32(0), D32(32)
               : A4);
}
DEVICE void product(float (&d)[128], const u32 (&a)[4], u64 b) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n256k16.f32.f16.f16 {" P0_31 P4(28, 29, 30, 31) P32_63 P4(60, 61, 62, 63) P64_127
               "%124, %125, %126, %127}, {%128, %129, %130, %131}, %132, 1, 1, 1, 0;"
               : D32(0), D32(32), D32(64), D32(96)
               : A4);
}
#undef P4
#undef D4
#undef D32
#undef P0_31
#undef P32_63
#undef P64_127
#undef A4
