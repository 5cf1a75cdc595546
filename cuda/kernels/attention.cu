// attention: softmax((q·k + slope·j)·scale)·v in f32, for the precise mode. rope_store writes the new keys and values into
// the cache beforehand, for it and for attention_prefill.
//
// attention: grid (heads, tokens), 256 threads. Keys are taken 256 at a time, one a thread: scores first, then each thread
// sums one element of the head over them; the running maximum rescales what was summed before. All sums run in a fixed
// order. Oracle: attention of model/oracle.
#include "attention.cuh"
#include "reduce.cuh"

constexpr u32 KEYS = 256, HEAD = 256;

// rope_store: grid (tokens, kv_heads).
KERNEL(rope_store, pg_attention_args, 256) {
  store_token(a, block_x(), global<const pg_state>(a.state)->pos + block_x(), block_y());
}

KERNEL(attention, pg_attention_args, 256) {
  SHARED(float, q, HEAD);
  SHARED(float, scores, KEYS);
  SHARED(float, tops, 32);
  SHARED(float, sums, 32);
  u32 head = block_x(), token = block_y(), kv_head = head / (a.heads / a.kv_heads), me = thread_x();
  u32 length = global<const pg_state>(a.state)->pos + token + 1;
  if (me < a.head_dim) q[me] = rotated(a, query_of(a, token, head), token, me);
  sync_block();
  float slope = a.slopes ? float(global<const float>(a.slopes)[head]) : 0.0f;
  Global<const float> keys = global<const float>(a.keys) + u64(kv_head) * a.context * a.row;
  Global<const float> values = global<const float>(a.values);
  float high = lowest(), total = 0, sum = 0;
  for (u32 first = 0; first < length; first += KEYS) {
    u32 j = first + me, here = min(length - first, KEYS);
    float s = lowest();
    if (me < here) {
      float dot = 0;
      for (u32 d = 0; d < a.head_dim; d++) dot = fma(q[d], keys[u64(j) * a.row + d], dot);
      s = fma(slope, float(j), dot) * a.scale;
    }
    float now = max(high, block_max(s, tops));
    float shrink = exp_f32(high - now), p = me < here ? exp_f32(s - now) : 0.0f;
    scores[me] = p;
    total = fma(total, shrink, block_sum(p, sums));
    high = now;
    if (me < a.head_dim) {
      sum *= shrink;
      for (u32 i = 0; i < here; i++) sum = fma(scores[i], values[value_index(a, kv_head, first + i, me)], sum);
    }
    sync_block();
  }
  if (me < a.head_dim) write_x({a.x, a.place, a.features, a.form}, token, head * a.head_dim + me, sum / total);
}
