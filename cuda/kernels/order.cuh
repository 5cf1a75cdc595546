// Counters by which a kernel knows that part of what runs ahead of it is finished, before all of it is (device.cuh,
// wait_for_previous). They lie in what a pass uploads, and so begin at 0.
//
// Nobody waits for a block that cannot run: a kernel begins early only after every block of the kernels ahead has begun.
#pragma once
#include "device.cuh"

// count_written adds one to a counter (0: none) after a barrier behind what the block has written. One thread does it.
DEVICE void count_written(pg_ptr counter) {
  if (!counter || thread_x() != 0) return;
  thread_fence();
  atomic_add(global<u32>(counter), 1);
}

// count_done is count_written with the barrier. Every thread calls it.
DEVICE void count_done(pg_ptr counter) {
  if (!counter) return;
  sync_block();
  count_written(counter);
}

// await lets one thread wait until a counter has reached `blocks`. Who asks takes time from those who count, and from all whose
// memory is in that part of the L2 cache: Pause is how many ns may pass before it asks again.
template <u32 Pause> DEVICE void await(pg_ptr counter, u32 blocks) {
  while (load_acquire(global<const u32>(counter)) < blocks) pause<Pause>();
}

// wait_count lets a block wait until a counter has reached `blocks`, and see what those blocks wrote. Counter 0: until all kernels
// ahead have finished. Every thread calls it. One thread of a block asks: when all warps did, the counter's part of
// the L2 cache had no time left for those who count (decoding was 6 % slower on an H100).
template <u32 Pause = 30> DEVICE void wait_count(pg_ptr counter, u32 blocks) {
  if (!counter) {
    wait_for_previous();
    return;
  }
  if (thread_x() == 0) await<Pause>(counter, blocks);
  sync_block();
}

// wait_count_warp is wait_count for a warp, where a counter has most likely reached its end.
template <u32 Pause = 30> DEVICE void wait_count_warp(pg_ptr counter, u32 blocks) {
  if (!counter) {
    wait_for_previous();
    return;
  }
  if (lane_id() == 0) await<Pause>(counter, blocks);
  sync_warp();
}
