// Sums and maxima over a warp and over a block, in an order that does not depend on who arrives first.
#pragma once
#include "device.cuh"

// warp_sum returns the warp's sum in every lane.
DEVICE float warp_sum(float v) {
  UNROLL for (u32 mask = 16; mask; mask /= 2) v += shuffle_xor(v, mask);
  return v;
}

// warp_max returns the largest value of the warp in every lane; NaN may be lost.
DEVICE float warp_max(float v) {
  UNROLL for (u32 mask = 16; mask; mask /= 2) v = max(v, shuffle_xor(v, mask));
  return v;
}

// block_sum returns the block's sum in every thread. room is shared memory of 32 floats that nothing else uses until the
// block's next barrier but one. The block is whole warps.
DEVICE float block_sum(float v, Shared<float> room) {
  v = warp_sum(v);
  if (lane_id() == 0) room[warp_id()] = v;
  sync_block();
  return warp_sum(lane_id() < block_threads() / 32 ? float(room[lane_id()]) : 0.0f);
}

// block_max is block_sum for the largest value.
DEVICE float block_max(float v, Shared<float> room) {
  v = warp_max(v);
  if (lane_id() == 0) room[warp_id()] = v;
  sync_block();
  return warp_max(room[min(lane_id(), block_threads() / 32 - 1)]);
}
