// attention_decode_ROW: attention of up to 8 new tokens, f16 on tensor cores with f32 sums: rotates queries and new keys,
// writes keys and values into the cache, attends, all in one launch.
//
// Grid (splits, kv_heads, ceil(tokens·heads/kv_heads / 16)), 256 threads: a block takes 16 query rows (token, head of the KV
// head's group) over 256 keys, 32 a warp. Blocks behind the end of the sequence leave at once, so that one grid serves every
// length. The warps' results are put together in shared memory; with several splits, the last block of its rows to arrive folds
// them in their order (the counter is an integer: who is last changes nothing). Reads the cache once a 16 rows, 4·row bytes a
// key. Oracle: attention of model/oracle.
#pragma once
#include "attention.cuh"
#include "order.cuh"

constexpr u32 SPLIT_KEYS = 256, WARPS = 8, ROWS = 16, CHUNK = 64;

// What a block of 16 rows is about.
struct decode_rows {
  u32 kv_head, group, rows, first; // first: query row of the block's first
};

DEVICE u32 token_of(const decode_rows &b, u32 r) { return (b.first + r) / b.group; }
DEVICE u32 head_of(const decode_rows &b, u32 r) { return b.kv_head * b.group + (b.first + r) % b.group; }

DEVICE Global<float> partial_of(const pg_attention_args &a, const decode_rows &b, u32 r, u32 split) {
  return global<float>(a.partial) + ((u64(token_of(b, r)) * a.heads + head_of(b, r)) * a.splits + split) * (a.row + 2);
}

// fold puts the splits of the block's rows together.
DEVICE void fold(const pg_attention_args &a, const decode_rows &b, u32 splits) {
  for (u32 i = thread_x(); i < ROWS * a.head_dim; i += block_threads()) {
    u32 r = i / a.head_dim, d = i % a.head_dim;
    if (b.first + r >= b.rows) break;
    float high = lowest(), sum = 0, total = 0;
    for (u32 s = 0; s < splits; s++) high = max(high, float(partial_of(a, b, r, s)[a.row]));
    for (u32 s = 0; s < splits; s++) {
      Global<const float> part = partial_of(a, b, r, s);
      float weight = exp2_approx((part[a.row] - high) * LOG2_E);
      sum = fma(weight, part[d], sum);
      total = fma(weight, part[a.row + 1], total);
    }
    write_x({a.x, a.place, a.features, PG_FRAGMENTS}, token_of(b, r), head_of(b, r) * a.head_dim + d, sum / total);
  }
}

// load_queries puts the block's query rows into shared memory, [row][feature], two f16 a word; rows that are not there are 0.
template <u32 Row> DEVICE void load_queries(const pg_attention_args &a, const decode_rows &b, Shared<u32> queries) {
  for (u32 i = thread_x(); i < ROWS * Row / 2; i += block_threads()) {
    u32 r = i / (Row / 2), d = i % (Row / 2) * 2, pair = 0;
    if (b.first + r < b.rows) {
      u32 token = token_of(b, r);
      Global<const float> query = query_of(a, token, head_of(b, r));
      pair = pack_f16(clamp_f16(rotated(a, query, token, d)), clamp_f16(rotated(a, query, token, d + 1)));
    }
    queries[i] = pair;
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
  // Queries, keys and values are there before the up projections of the same launch are. Kernels behind this one may need both,
  // so wait_for_previous comes at the end.
  wait_count<400>(a.ready, a.blocks); // the up projection takes longer than the attention, and needs the memory
  // Every block that reads a new key writes it first, all the same bits.
  for (u32 t = 0; t < a.tokens; t++)
    if (pos + t >= begin && pos + t < begin + SPLIT_KEYS) store_token(a, t, pos + t, b.kv_head);
  load_queries<Row>(a, b, queries);
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
  u32 first = begin + warp_id() * WARP_KEYS;
  if (first < length)
    attend(a, global<const u16>(a.keys) + u64(b.kv_head) * a.context * Row, global<const u16>(a.values) + u64(b.kv_head) * Row * a.context, first, w);
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
      if (d >= a.head_dim) continue;
      float high = lowest(), sum = 0, total = 0;
      for (u32 k = 0; k < WARPS; k++) {
        high = max(high, float(highs[k * ROWS + r]));
        sum += room[(k * ROWS + r) * CHUNK + i % CHUNK];
      }
      if (high != lowest())
        for (u32 k = 0; k < WARPS; k++) total = fma(exp2_approx((highs[k * ROWS + r] - high) * LOG2_E), totals[k * ROWS + r], total);
      if (splits == 1) {
        write_x({a.x, a.place, a.features, PG_FRAGMENTS}, token_of(b, r), head_of(b, r) * a.head_dim + d, sum / total);
        continue;
      }
      Global<float> part = partial_of(a, b, r, split);
      part[d] = sum;
      if (d == 0) {
        part[a.row] = high;
        part[a.row + 1] = total;
      }
    }
    sync_block();
  }
  if (splits == 1) {
    count_done(a.done);
    wait_for_previous();
    return;
  }
  thread_fence();
  sync_block();
  Global<u32> arrived = global<u32>(a.arrived) + (b.kv_head * ((b.rows + ROWS - 1) / ROWS) + block_z());
  if (thread_x() == 0) last[0] = atomic_add(arrived, 1) == splits - 1;
  sync_block();
  if (last[0]) {
    thread_fence();
    fold(a, b, splits);
    if (thread_x() == 0) arrived[0] = 0;
    count_done(a.done);
  }
  wait_for_previous();
}
