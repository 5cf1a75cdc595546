// Kernels that do what is not allowed.
#pragma once

// reads: in[at] of f32 by thread n. writes: the same. vectors: load16 of in + at.
KERNEL(reads, pg_test_args, 64) {
  if (thread_x() == a.n) global<float>(a.out)[0] = global<const float>(a.in)[a.at];
}
KERNEL(writes, pg_test_args, 64) {
  if (thread_x() == a.n) global<float>(a.in)[a.at] = 1;
}
KERNEL(vectors, pg_test_args, 64) {
  if (thread_x() == a.n) global<u32>(a.out)[0] = load16(global<const u32>(a.in) + a.at).x;
}

// awaits: waits until the u32 at in + at is n.
KERNEL(awaits, pg_test_args, 64) {
  if (thread_x() == 0)
    while (load_acquire(global<const u32>(a.in) + a.at) != a.n) pause<30>();
}

// counts: atomic_add at in + at. fetches: cp_async16 of vector at.
KERNEL(counts, pg_test_args, 64) {
  if (thread_x() == a.n) atomic_add(global<u32>(a.in) + a.at, 1);
}
KERNEL(fetches, pg_test_args, 64) {
  SHARED(u32x4, room, 1);
  if (thread_x() == a.n) cp_async16(room + 0, global<const u32x4>(a.in) + a.at);
}
// late: all blocks from n on read behind the end, the later ones sooner.
KERNEL(late, pg_test_args, 64) {
  float sum = 0;
  if (block_x() >= a.n)
    for (u32 i = 0; i < 100'000 / (block_x() + 1); i++) sum += global<const float>(a.in)[i % 25];
  if (block_x() >= a.n) global<float>(a.out)[0] = sum + global<const float>(a.in)[25];
}

// shared_index: small[at]. shared_vector: a vector of an array of words. shared_dynamic: element at of the dynamic memory.
KERNEL(shared_index, pg_test_args, 64) {
  SHARED(u32, before, 8);
  SHARED(u32, small, 8);
  SHARED(u32, behind, 8);
  before[0] = behind[0] = 0;
  small[a.at] = 1;
}
KERNEL(shared_vector, pg_test_args, 64) {
  SHARED(u32, words, 8);
  global<u32>(a.out)[0] = load16(words).x;
}
KERNEL(shared_dynamic, pg_test_args, 64) {
  DYNAMIC_SHARED(float, room);
  room[a.at] = 1;
}
KERNEL(shared_large, pg_test_args, 64) {
  SHARED(u32x4, first, 2048); // 32 KiB
  first[0] = {};
  if (a.n) {
    SHARED(u32x4, second, 2048);
    second[0] = {};
  }
}

// barrier_ended: thread n does not come to the barrier. barrier_sites: warps at two barriers. barrier_shuffle: warp 0 at a barrier,
// warp 1 at a shuffle without its lane 0.
KERNEL(barrier_ended, pg_test_args, 64) {
  if (thread_x() == a.n) return;
  sync_block();
}
KERNEL(barrier_sites, pg_test_args, 64) {
  if (warp_id() == 0)
    sync_block();
  else
    sync_block();
}
KERNEL(barrier_shuffle, pg_test_args, 64) {
  if (thread_x() <= 32)
    sync_block();
  else
    shuffle(1u, 0);
}

// lanes_sites: lanes of a warp at two shuffles. lanes_ops: at a ballot and a sync_warp. lanes_ended: lane n is not there.
KERNEL(lanes_sites, pg_test_args, 64) {
  if (lane_id() < 16)
    shuffle(1u, 0);
  else
    shuffle(1u, 0);
}
KERNEL(lanes_ops, pg_test_args, 64) {
  if (lane_id() < 16)
    ballot(true);
  else
    sync_warp();
}
KERNEL(lanes_ended, pg_test_args, 64) {
  if (lane_id() == a.n) return;
  ballot(true);
}

// race_barrier: a value of another warp without a barrier; n is 1: with it. race_lane: of another lane without sync_warp; n is 1: with it.
// race_writes: all threads write different values to one word.
KERNEL(race_barrier, pg_test_args, 64) {
  SHARED(u32, held, 64);
  held[thread_x()] = thread_x();
  if (a.n) sync_block();
  global<u32>(a.out)[thread_x()] = held[63 - thread_x()];
}
KERNEL(race_lane, pg_test_args, 64) {
  SHARED(u16, held, 64);
  held[thread_x()] = u16(thread_x());
  if (a.n) sync_warp();
  global<u32>(a.out)[thread_x()] = held[thread_x() ^ 1];
}
KERNEL(race_writes, pg_test_args, 64) {
  SHARED(u32, held, 1);
  held[0] = thread_x();
}
// race_ahead: a value is overwritten while another warp may still read it.
KERNEL(race_ahead, pg_test_args, 64) {
  SHARED(u32, held, 64);
  held[thread_x()] = thread_x();
  sync_block();
  global<u32>(a.out)[thread_x()] = held[63 - thread_x()];
  if (a.n) sync_block();
  held[thread_x()] = 0;
}
