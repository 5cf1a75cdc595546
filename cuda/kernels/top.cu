// The k highest logits of a row, highest first, the lowest id among equals, and log Σ exp of the row.
//
// top_chunk sorts 1024 logits a block in shared memory and keeps the first k; top_merge takes the chunks' best in, 960 at a
// time beside the 64 kept, and sorts again. A logit and its id are one 64-bit key: the float's bits in an order that integers
// have, then the complement of the id. Oracle: model.FillOutput.
#include "math.cuh"
#include "reduce.cuh"

constexpr u32 SORTED = 1024, THREADS = 256;

DEVICE u64 key_of(float logit, u32 id) {
  u32 bits = f32_to_bits(logit == 0 ? 0.0f : logit);
  return u64(bits & 0x80000000u ? ~bits : bits | 0x80000000u) << 32 | ~id;
}
DEVICE float logit_of(u64 key) {
  u32 bits = u32(key >> 32);
  return bits_to_f32(bits & 0x80000000u ? bits & 0x7fffffffu : ~bits);
}

// sort_keys puts SORTED keys in falling order: a bitonic network, two elements a thread and step.
DEVICE void sort_keys(Shared<u64> keys) {
  for (u32 size = 2; size <= SORTED; size *= 2) {
    for (u32 step = size / 2; step; step /= 2) {
      sync_block();
      for (u32 i = thread_x(); i < SORTED / 2; i += THREADS) {
        u32 a = i / step * step * 2 + i % step, b = a + step;
        bool falling = (a & size) == 0;
        u64 x = keys[a], y = keys[b];
        if ((x < y) == falling) {
          keys[a] = y;
          keys[b] = x;
        }
      }
    }
  }
  sync_block();
}

DEVICE Global<float> sums_of(const pg_top_args &a) { return global<float>(a.partial + u64(a.rows) * a.chunks * PG_TOP * 8); }

KERNEL(top_chunk, pg_top_args, 256) {
  SHARED(u64, keys, SORTED);
  SHARED(float, tops, 32);
  SHARED(float, sums, 32);
  u32 row = block_y(), chunk = block_x(), first = chunk * PG_TOP_CHUNK;
  Global<const float> logits = global<const float>(a.logits) + u64(row) * a.vocab;
  float high = bits_to_f32(0xff800000u), sum = 0;
  for (u32 i = thread_x(); i < SORTED; i += THREADS) {
    u32 id = first + i;
    keys[i] = id < a.vocab ? key_of(logits[id], id) : 0;
    if (id < a.vocab) high = max(high, float(logits[id]));
  }
  high = block_max(high, tops);
  for (u32 i = thread_x(); i < SORTED; i += THREADS)
    if (first + i < a.vocab) sum += exp_f32(float(logits[first + i]) - high);
  sum = block_sum(sum, sums);
  sort_keys(keys);
  Global<u64> out = global<u64>(a.partial) + (u64(row) * a.chunks + chunk) * PG_TOP;
  if (thread_x() < PG_TOP) out[thread_x()] = keys[thread_x()];
  if (thread_x() == 0) {
    Global<float> to = sums_of(a) + (u64(row) * a.chunks + chunk) * 2;
    to[0] = high;
    to[1] = sum;
  }
}

KERNEL(top_merge, pg_top_args, 256) {
  SHARED(u64, keys, SORTED);
  SHARED(float, tops, 32);
  SHARED(float, parts, 32);
  u32 row = block_x(), all = a.chunks * PG_TOP;
  Global<const u64> from = global<const u64>(a.partial) + u64(row) * all;
  if (thread_x() < PG_TOP) keys[thread_x()] = 0;
  for (u32 first = 0; first < all; first += SORTED - PG_TOP) {
    for (u32 i = thread_x(); i < SORTED - PG_TOP; i += THREADS) keys[PG_TOP + i] = first + i < all ? u64(from[first + i]) : 0;
    sort_keys(keys);
  }
  Global<pg_candidate> top = global<pg_candidate>(a.top) + u64(row) * PG_TOP;
  if (thread_x() < a.k) {
    u64 key = keys[thread_x()];
    pg_candidate c = {i32(~u32(key)), logit_of(key)};
    top[thread_x()] = c;
  }
  Global<const float> sums = sums_of(a) + u64(row) * a.chunks * 2;
  float high = bits_to_f32(0xff800000u), sum = 0;
  for (u32 i = thread_x(); i < a.chunks; i += THREADS) high = max(high, float(sums[2 * i]));
  high = block_max(high, tops);
  for (u32 i = thread_x(); i < a.chunks; i += THREADS) sum += sums[2 * i + 1] * exp_f32(float(sums[2 * i]) - high);
  sum = block_sum(sum, parts);
  if (thread_x() == 0) global<float>(a.log_sum)[row] = high + log_f32(sum);
}
