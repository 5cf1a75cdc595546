// Counters by which a kernel knows that part of what runs ahead of it is finished, before all of it is (device.cuh,
// wait_for_previous). They lie in what a pass uploads, and so begin at 0.
//
// Nobody waits for a block that cannot run: a kernel begins early only after every block of the kernels ahead has begun.
#pragma once
#include "device.cuh"

// count_done adds one to a counter (0: none) when all threads of the block have written. Every thread calls it.
DEVICE void count_done(pg_ptr counter) {
  if (!counter) return;
  sync_block();
  if (thread_x() == 0) {
    thread_fence();
    atomic_add(global<u32>(counter), 1);
  }
}

// wait_count lets a warp wait until a counter has reached `blocks`, and see what those blocks wrote. Counter 0: until all
// kernels ahead have finished.
DEVICE void wait_count(pg_ptr counter, u32 blocks) {
  if (!counter) {
    wait_for_previous();
    return;
  }
  if (lane_id() == 0)
    while (load_acquire(global<const u32>(counter)) < blocks) pause();
  sync_warp();
}
