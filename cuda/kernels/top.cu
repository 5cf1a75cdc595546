// top_chunk, top_merge: the k highest logits of a row, highest first, the lowest id among equals, and log Σ exp of the row.
// Oracle: model.FillOutput.
//
// A logit and its id are one 64-bit key: the float's bits in an order that integers have, then the complement of the id. The
// larger key is the better candidate and no two are equal, so that the result does not depend on who is compared first. A warp
// keeps 64 keys in registers, two a lane; it sorts and merges them by bitonic networks of shuffles, without a barrier, and at
// the same cost for every k. 65024 logits are 64 chunks of 16 such lists, then one block that merges 64; 0.26 MB read.
#include "math.cuh"
#include "reduce.cuh"

constexpr u32 LIST = PG_TOP, WARPS = 8; // a block sorts PG_TOP_CHUNK = 2·8·64 logits

// A warp's list: lane l has the elements l and l + 32. Key 0 is no candidate.
struct top_keys {
  u64 low, high;
};

DEVICE float infinity(bool negative) { return bits_to_f32(negative ? 0xff800000u : 0x7f800000u); }

// key_of takes −0 for 0 and NaN for −∞.
DEVICE u64 key_of(float logit, u32 id) {
  u32 bits = f32_to_bits(logit == 0 ? 0.0f : logit == logit ? logit : infinity(true));
  return u64(bits & 0x80000000u ? ~bits : bits | 0x80000000u) << 32 | ~id;
}

DEVICE u64 from_lane(u64 v, u32 mask) { return u64(shuffle_xor(u32(v >> 32), mask)) << 32 | shuffle_xor(u32(v), mask); }

// mirrored gives lane l what lane 31 − l has.
DEVICE u64 mirrored(u64 v) { return from_lane(v, 31); }

// exchange compares with the lane `mask` away and keeps the larger key if `larger`.
DEVICE u64 exchange(u64 v, u32 mask, bool larger) {
  u64 other = from_lane(v, mask);
  return (v > other) == larger ? v : other;
}

// settle sorts a bitonic list, largest first.
DEVICE void settle(top_keys &v) {
  v = {max(v.low, v.high), min(v.low, v.high)};
  UNROLL for (u32 mask = 16; mask; mask /= 2) {
    bool larger = !(lane_id() & mask);
    v.low = exchange(v.low, mask, larger);
    v.high = exchange(v.high, mask, larger);
  }
}

// sort sorts any list, largest first: runs of 2, 4 … 32 in alternating directions, then the whole. The two runs of 32 are low,
// falling, and high, rising.
DEVICE void sort(top_keys &v) {
  UNROLL for (u32 run = 2; run <= 32; run *= 2) {
    UNROLL for (u32 mask = run / 2; mask; mask /= 2) {
      bool first = !(lane_id() & mask), falling = !(lane_id() & run);
      v.low = exchange(v.low, mask, first == falling);
      v.high = exchange(v.high, mask, first == (falling && run < 32));
    }
  }
  settle(v);
}

// rising loads a sorted list back to front.
template <class Pointer> DEVICE top_keys rising(Pointer from) { return {from[63 - lane_id()], from[31 - lane_id()]}; }

// merge keeps the best 64 of a sorted list and of another that is back to front: element by element, a bitonic list.
DEVICE void merge(top_keys &v, const top_keys &other) {
  v = {max(v.low, other.low), max(v.high, other.high)};
  settle(v);
}

// merge_block leaves the best of the warps' sorted lists in warp 0. Every warp of the block calls it.
DEVICE void merge_block(top_keys &v, Shared<u64> room) {
  for (u32 half = WARPS / 2; half; half /= 2) {
    if (warp_id() >= half && warp_id() < 2 * half) {
      room[warp_id() * LIST + lane_id()] = v.low;
      room[warp_id() * LIST + lane_id() + 32] = v.high;
    }
    sync_block();
    if (warp_id() < half) merge(v, rising(room + (warp_id() + half) * LIST));
  }
}

DEVICE Global<float> sums_of(const pg_top_args &a, u32 row) {
  return global<float>(a.partial + u64(a.rows) * a.chunks * LIST * 8) + u64(row) * a.chunks * 2;
}

// A largest value begins here, not at −∞: then no −∞ is taken from itself. share is exp(x − high) for x ≤ high; of +∞ too.
DEVICE float lowest() { return -3.40282347e38f; }
DEVICE float share(float x, float high) { return x == high ? 1.0f : exp_f32(x - high); }

// top_chunk: grid (chunks, rows), 256 threads; a warp sorts two lists.
KERNEL(top_chunk, pg_top_args, 256) {
  SHARED(u64, room, WARPS * LIST);
  SHARED(float, tops, 32);
  SHARED(float, sums, 32);
  let_next_begin();
  wait_for_previous();
  const u32 chunk = block_x(), row = block_y(), first = chunk * PG_TOP_CHUNK + warp_id() * 2 * LIST + lane_id();
  Global<const float> logits = global<const float>(a.logits) + u64(row) * a.vocab;
  float x[4], high = lowest(), sum = 0;
  UNROLL for (u32 i = 0; i < 4; i++) x[i] = first + i * 32 < a.vocab ? float(logits[first + i * 32]) : infinity(true);
  UNROLL for (u32 i = 0; i < 4; i++) high = max(high, x[i]);
  high = block_max(high, tops);
  UNROLL for (u32 i = 0; i < 4; i++) sum += share(x[i], high); // NaN, if not in the maximum, is in the sum
  sum = block_sum(sum, sums);
  u64 key[4];
  UNROLL for (u32 i = 0; i < 4; i++) key[i] = first + i * 32 < a.vocab ? key_of(x[i], first + i * 32) : 0;
  top_keys v = {key[0], key[1]}, other = {key[2], key[3]};
  sort(v);
  sort(other);
  merge(v, {mirrored(other.high), mirrored(other.low)});
  merge_block(v, room);
  Global<u64> out = global<u64>(a.partial) + (u64(row) * a.chunks + chunk) * LIST;
  if (warp_id() == 0) {
    out[lane_id()] = v.low;
    out[lane_id() + 32] = v.high;
  }
  if (thread_x() == 0) {
    Global<float> to = sums_of(a, row) + chunk * 2;
    to[0] = high;
    to[1] = sum;
  }
}

// fold_sums returns log Σ exp of a row.
DEVICE float fold_sums(const pg_top_args &a, u32 row, Shared<float> tops, Shared<float> parts) {
  Global<const float> sums = sums_of(a, row);
  float high = lowest(), sum = 0;
  for (u32 i = thread_x(); i < a.chunks; i += block_threads()) high = max(high, float(sums[2 * i]));
  high = block_max(high, tops);
  for (u32 i = thread_x(); i < a.chunks; i += block_threads()) sum = fma(sums[2 * i + 1], share(sums[2 * i], high), sum);
  sum = block_sum(sum, parts);
  return sum == 0 ? infinity(true) : high + log_f32(sum);
}

// top_merge: grid (rows), 256 threads. There are at least k logits.
KERNEL(top_merge, pg_top_args, 256) {
  SHARED(u64, room, WARPS * LIST);
  SHARED(float, tops, 32);
  SHARED(float, parts, 32);
  let_next_begin();
  wait_for_previous();
  const u32 row = block_x();
  Global<const u64> from = global<const u64>(a.partial) + u64(row) * a.chunks * LIST;
  top_keys v = {0, 0}, next = v;
  u32 chunk = warp_id();
  if (chunk < a.chunks) next = rising(from + u64(chunk) * LIST);
  while (chunk < a.chunks) { // the next list is on its way while one is merged
    top_keys other = next;
    chunk += WARPS;
    if (chunk < a.chunks) next = rising(from + u64(chunk) * LIST);
    merge(v, other);
  }
  merge_block(v, room);
  float log_sum = fold_sums(a, row, tops, parts);
  if (thread_x() == 0) global<float>(a.log_sum)[row] = log_sum;
  if (warp_id() != 0) return;
  Global<const float> logits = global<const float>(a.logits) + u64(row) * a.vocab;
  Global<pg_candidate> top = global<pg_candidate>(a.top) + u64(row) * PG_TOP;
  for (u32 i = lane_id(); i < a.k; i += 32) {
    u32 id = ~u32(i < 32 ? v.low : v.high);
    pg_candidate c = {i32(id), logits[id]};
    top[i] = c;
  }
}
