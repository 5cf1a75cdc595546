// attention_decode_ROW: attention of up to 8 new tokens, f16 on tensor cores with f32 sums: rotates queries and new keys,
// writes keys and values into the cache, attends, all in one launch.
//
// Grid (splits, kv_heads, ceil(tokens·heads/kv_heads / 16)), SPLIT_KEYS threads: a block takes 16 query rows (token, head of the KV
// head's group) over SPLIT_KEYS keys, 32 a warp. Blocks behind the end of the sequence leave at once, so that one grid serves every
// length. The warps' results are put together in shared memory; with several splits, the last block of its rows to arrive folds
// them in their order (the counter is an integer: who is last changes nothing). Reads the cache once a 16 rows, 4·row bytes a
// key. Oracle: attention of model/oracle.
#pragma once
#include "attention.cuh"
#include "order.cuh"

constexpr u32 SPLIT_KEYS = PG_SPLIT_KEYS, WARPS = SPLIT_KEYS / WARP_KEYS, ROWS = 16, CHUNK = 64;

// What a block of 16 rows is about.
struct decode_rows {
  u32 kv_head, group, rows, first; // first: query row of the block's first
};

DEVICE u32 token_of(const decode_rows &b, u32 r) { return (b.first + r) / b.group; }
DEVICE u32 head_of(const decode_rows &b, u32 r) { return b.kv_head * b.group + (b.first + r) % b.group; }

// What a split leaves of a row: its attention in Row floats, and behind those of all rows log₂ Σ exp(score), by which it counts.
struct split_result {
  Global<float> values, weight;
};

template <u32 Row> DEVICE split_result result_of(const pg_attention_args &a, const decode_rows &b, u32 r, u32 split) {
  u64 at = (u64(token_of(b, r)) * a.heads + head_of(b, r)) * a.splits + split, all = u64(a.tokens) * a.heads * a.splits;
  Global<float> results = global<float>(a.partial);
  return {results + at * Row, results + (all * Row + at)};
}

// fold puts the splits of the block's rows together, in their order. A load takes a microsecond and more while a product has the
// memory, so those of several splits are on their way at once.
template <u32 Row> DEVICE void fold(const pg_attention_args &a, const decode_rows &b, u32 splits) {
  constexpr u32 Batch = 8, Quads = Row / 4;
  const activation to = {a.x, a.place, a.features, PG_FRAGMENTS};
  for (u32 i = thread_x(); i < ROWS * Quads; i += block_threads()) {
    const u32 r = i / Quads, d = i % Quads * 4;
    if (b.first + r >= b.rows || d >= a.head_dim) continue;
    const split_result first = result_of<Row>(a, b, r, 0);
    float high = lowest(), sum[4] = {}, total = 0;
    for (u32 from = 0; from < splits; from += Batch) {
      u32x4 values[Batch];
      float weights[Batch], top = high;
      UNROLL for (u32 j = 0; j < Batch; j++) {
        values[j] = {0, 0, 0, 0};
        weights[j] = lowest();
        if (from + j >= splits) continue;
        values[j] = load16(cast<const u32x4>(first.values + (u64(from) * Row + j * Row + d)));
        weights[j] = first.weight[from + j];
      }
      UNROLL for (u32 j = 0; j < Batch; j++) top = max(top, weights[j]);
      const float base = top == lowest() ? 0.0f : top, shrink = exp2_approx(high - base);
      high = top;
      UNROLL for (u32 k = 0; k < 4; k++) sum[k] *= shrink;
      total *= shrink;
      UNROLL for (u32 j = 0; j < Batch; j++) {
        const float v[4] = {bits_to_f32(values[j].x), bits_to_f32(values[j].y), bits_to_f32(values[j].z), bits_to_f32(values[j].w)};
        float weight = exp2_approx(weights[j] - base);
        UNROLL for (u32 k = 0; k < 4; k++) sum[k] = fma(weight, v[k], sum[k]);
        total += weight;
      }
    }
    UNROLL for (u32 k = 0; k < 4; k++)
      if (d + k < a.head_dim) write_x(to, token_of(b, r), head_of(b, r) * a.head_dim + d + k, sum[k] / total);
  }
}

// load_queries puts the block's query rows into shared memory, [row][feature], two f16 a word; rows that are not there are 0.
// All that a thread reads for a batch of words is asked for at once.
template <u32 Row, bool Turned> DEVICE void load_queries(const pg_attention_args &a, const decode_rows &b, Shared<u32> queries) {
  constexpr u32 Threads = WARPS * 32, Words = ROWS * Row / 2, Batch = Words > Threads ? 2 : 1;
  const u32 half = a.head_dim / 2;
  for (u32 from = thread_x(); from < Words; from += Batch * Threads) {
    float own[Batch][2], other[Batch][2] = {}, cosine[Batch][2] = {}, sine[Batch][2] = {};
    UNROLL for (u32 k = 0; k < Batch; k++) {
      const u32 i = from + k * Threads, r = min(i / (Row / 2), b.rows - 1 - b.first), token = token_of(b, r);
      Global<const float> query = query_of(a, token, head_of(b, r));
      UNROLL for (u32 j = 0; j < 2; j++) {
        const u32 d = min(i % (Row / 2) * 2 + j, a.head_dim - 1), pair = d < half ? d : d - half;
        own[k][j] = query[d];
        if constexpr (Turned) {
          Global<const float> angle = global<const float>(a.angles) + (u64(token) * half + pair) * 2;
          other[k][j] = query[d < half ? d + half : pair];
          cosine[k][j] = angle[0], sine[k][j] = d < half ? -float(angle[1]) : float(angle[1]);
        }
      }
    }
    UNROLL for (u32 k = 0; k < Batch; k++) {
      const u32 i = from + k * Threads;
      float v[2];
      UNROLL for (u32 j = 0; j < 2; j++) {
        v[j] = Turned ? own[k][j] * cosine[k][j] + other[k][j] * sine[k][j] : own[k][j];
        if (i % (Row / 2) * 2 + j >= a.head_dim) v[j] = 0;
      }
      queries[i] = b.first + i / (Row / 2) < b.rows ? pack_f16(clamp_f16(v[0]), clamp_f16(v[1])) : 0;
    }
  }
}

template <u32 Row> DEVICE void attention_decode(const pg_attention_args &a) {
  SHARED(u32, queries, ROWS * Row / 2);
  SHARED(float, highs, WARPS * ROWS);
  SHARED(float, totals, WARPS * ROWS);
  SHARED(float, room, WARPS * ROWS * CHUNK);
  SHARED(u32, last, 1);
  let_next_begin();
  const u32 pos = global<const pg_state>(a.state)->pos, length = pos + a.tokens, split = block_x();
  const u32 splits = (length + SPLIT_KEYS - 1) / SPLIT_KEYS, begin = split * SPLIT_KEYS;
  if (split >= splits) return;
  const u32 group = a.heads / a.kv_heads, n = lane_id() / 4, c = lane_id() % 4;
  const decode_rows b = {block_y(), group, group * a.tokens, block_z() * ROWS};
  const u32 first = begin + warp_id() * WARP_KEYS;
  const cached_keys<Row> cached = {global<const u16>(a.keys) + u64(b.kv_head) * a.context * Row,
                                   global<const u16>(a.values) + u64(b.kv_head) * Row * a.context, first};
  if (a.alone && first < pos) bring_keys(cached); // beside an up projection this made a token of Falcon-40B 1 % slower
  // Queries, keys and values are there before the up projections of the same launch are. Kernels behind this one may need both,
  // so wait_for_previous comes at the end.
  if (a.alone)
    wait_count(a.ready, a.blocks);
  else
    wait_count<400>(a.ready, a.blocks); // the up projection takes longer than the attention, and needs the memory
  // Every block that reads a new key writes it first, all the same bits.
  for (u32 t = 0; t < a.tokens; t++)
    if (pos + t >= begin && pos + t < begin + SPLIT_KEYS) store_token(a, t, pos + t, b.kv_head);
  if (a.angles)
    load_queries<Row, true>(a, b, queries);
  else
    load_queries<Row, false>(a, b, queries);
  sync_block();
  attending<Row> w;
  begin_attending(w);
  UNROLL for (u32 r = 0; r < 2; r++) {
    u32 row = n + 8 * r;
    if (b.first + row < b.rows) {
      w.visible[r] = pos + token_of(b, row) + 1;
      if (a.slopes) w.slope[r] = global<const float>(a.slopes)[head_of(b, row)];
    }
    UNROLL for (u32 i = 0; i < Row / 8; i++) w.q[i / 2][i % 2 * 2 + r] = queries[row * (Row / 2) + c * (Row / 8) + i];
  }
  if (first < length) attend(a, cached, length, w);
  share_totals(w);
  UNROLL for (u32 r = 0; r < 2; r++) {
    if (c == 0) {
      highs[warp_id() * ROWS + n + 8 * r] = w.high[r];
      totals[warp_id() * ROWS + n + 8 * r] = w.total[r];
    }
  }
  sync_block();
  UNROLL for (u32 r = 0; r < 2; r++) {
    float high = lowest();
    for (u32 i = 0; i < WARPS; i++) high = max(high, float(highs[i * ROWS + n + 8 * r]));
    float weight = high == lowest() ? 0.0f : exp2_approx((w.high[r] - high) * LOG2_E);
    UNROLL for (u32 i = 0; i < Row / 8; i++) w.o[i][2 * r] *= weight, w.o[i][2 * r + 1] *= weight;
  }
  // Σ over the warps, CHUNK features at a time.
  UNROLL for (u32 from = 0; from < Row; from += CHUNK) {
    UNROLL for (u32 i = 0; i < CHUNK / 8; i++) {
      if (from + i * 8 >= Row) break;
      UNROLL for (u32 j = 0; j < 4; j++)
        room[(warp_id() * ROWS + n + 8 * (j / 2)) * CHUNK + i * 8 + c * 2 + j % 2] = w.o[from / 8 + i][j];
    }
    sync_block();
    for (u32 i = thread_x(); i < ROWS * CHUNK; i += block_threads()) {
      u32 r = i / CHUNK, d = from + i % CHUNK;
      if (b.first + r >= b.rows) break;
      if (d >= Row) continue;
      float high = lowest(), sum = 0, total = 0;
      for (u32 k = 0; k < WARPS; k++) {
        high = max(high, float(highs[k * ROWS + r]));
        sum += room[(k * ROWS + r) * CHUNK + i % CHUNK];
      }
      if (high != lowest())
        for (u32 k = 0; k < WARPS; k++) total = fma(exp2_approx((highs[k * ROWS + r] - high) * LOG2_E), totals[k * ROWS + r], total);
      if (splits == 1) {
        if (d < a.head_dim) write_x({a.x, a.place, a.features, PG_FRAGMENTS}, token_of(b, r), head_of(b, r) * a.head_dim + d, sum / total);
        continue;
      }
      split_result part = result_of<Row>(a, b, r, split);
      part.values[d] = total == 0 ? 0.0f : sum / total; // 0: no key of these is for this token
      if (d == 0) part.weight[0] = total == 0 ? lowest() : fma(high, LOG2_E, log_f32(total) * LOG2_E);
    }
    sync_block();
  }
  if (splits == 1) {
    count_done(a.done);
  } else {
    Global<u32> arrived = global<u32>(a.arrived) + (b.kv_head * ((b.rows + ROWS - 1) / ROWS) + block_z());
    sync_block();
    if (thread_x() == 0) {
      thread_fence();
      last[0] = atomic_add(arrived, 1) == splits - 1;
      thread_fence();
    }
    sync_block();
    if (last[0]) {
      fold<Row>(a, b, splits);
      if (thread_x() == 0) arrived[0] = 0;
      count_done(a.done);
    }
  }
  // One block that waits is enough for the kernel to end after those ahead. The others leave, and make room for more of them.
  if (split == 0 && block_y() == 0 && block_z() == 0) wait_for_previous();
}
