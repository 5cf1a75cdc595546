// read adds up memory: the denominator of every bandwidth figure.
//
// sum[block] = Σ of the block's u32 words, modulo 2^32. Any grid; a few blocks a multiprocessor fill it. bytes is a multiple of
// 16, from aligned to 16. Moves `bytes`, reading only.
//
// A thread has 8 loads of 16 bytes in flight, so that 256 threads a multiprocessor already keep 32 KiB under way: 132 of them
// 4.3 MB, more than the 3 MB that 3 TB/s need at a latency of 1 µs. A warp's loads lie side by side.
#include "device.cuh"

enum { READ_THREADS = 256, READ_LOADS = 8 };

KERNEL(read, pg_read_args, READ_THREADS) {
  SHARED(u32, warp_sum, READ_THREADS / 32);
  auto from = global<const u32x4>(a.from);
  const u64 vectors = a.bytes / 16, round = READ_THREADS * READ_LOADS;
  u32 sum = 0;
  for (u64 start = block_x() * round; start < vectors; start += grid_x() * round) {
    u32x4 v[READ_LOADS];
    if (start + round <= vectors) {
      UNROLL for (u32 i = 0; i < READ_LOADS; i++) v[i] = load_stream(from + (start + i * READ_THREADS + thread_x()));
    } else { // the last round
      UNROLL for (u32 i = 0; i < READ_LOADS; i++) {
        u64 at = start + i * READ_THREADS + thread_x();
        v[i] = at < vectors ? load_stream(from + at) : u32x4{0, 0, 0, 0};
      }
    }
    UNROLL for (u32 i = 0; i < READ_LOADS; i++) sum += v[i].x + v[i].y + v[i].z + v[i].w;
  }
  UNROLL for (u32 mask = 16; mask; mask /= 2) sum += shuffle_xor(sum, mask);
  if (lane_id() == 0) warp_sum[warp_id()] = sum;
  sync_block();
  if (thread_x() == 0) {
    for (u32 i = 1; i < READ_THREADS / 32; i++) sum += warp_sum[i];
    global<u32>(a.sum)[block_x()] = sum;
  }
}
