// Attention over the KV cache, in f32 arithmetic: rope_store rotates the new keys and writes them and the values into the
// cache; attention computes softmax((q·k + slope·j)·scale)·v for one query head of one token a block.
//
// attention: grid (heads, tokens), 256 threads. Keys are taken 256 at a time, one a thread: scores first, then each thread
// sums one element of the head over them; the running maximum rescales what was summed before. All sums run in a fixed
// order. Oracle: attention of model/oracle.
#include "activation.cuh"
#include "math.cuh"
#include "reduce.cuh"

constexpr u32 KEYS = 256, HEAD = 256;

DEVICE float lowest() { return bits_to_f32(0xff800000u); } // −∞

DEVICE u32 qkv_stride(const pg_attention_args &a) { return (a.heads + 2 * a.kv_heads) * a.head_dim; }

// rotated returns element d of a head at `from`, turned by the token's angles (NeoX halves).
DEVICE float rotated(const pg_attention_args &a, Global<const float> from, u32 token, u32 d) {
  if (!a.angles) return from[d];
  u32 half = a.head_dim / 2, i = d % half;
  Global<const float> angle = global<const float>(a.angles) + (u64(token) * half + i) * 2;
  float x = from[i], y = from[i + half], c = angle[0], s = angle[1];
  return d < half ? x * c - y * s : y * c + x * s;
}

DEVICE void store_cache(pg_ptr cache, u64 at, u32 precise, float v) {
  if (precise)
    global<float>(cache)[at] = v;
  else
    global<u16>(cache)[at] = to_f16(clamp_f16(v));
}

DEVICE float load_cache(pg_ptr cache, u64 at, u32 precise) {
  if (precise) return global<const float>(cache)[at];
  return from_f16(global<const u16>(cache)[at]);
}

// rope_store: grid (tokens).
KERNEL(rope_store, pg_attention_args, 256) {
  u32 token = block_x(), pos = global<const pg_state>(a.state)->pos + token;
  Global<const float> keys = global<const float>(a.qkv) + (u64(token) * qkv_stride(a) + a.heads * a.head_dim);
  for (u32 i = thread_x(); i < a.kv_heads * a.head_dim; i += block_threads()) {
    u32 head = i / a.head_dim, d = i % a.head_dim;
    u64 at = (u64(head) * a.context + pos) * a.row + d;
    store_cache(a.keys, at, a.precise, rotated(a, keys + head * a.head_dim, token, d));
    store_cache(a.values, at, a.precise, keys[a.kv_heads * a.head_dim + i]);
  }
}

KERNEL(attention, pg_attention_args, 256) {
  SHARED(float, q, HEAD);
  SHARED(float, scores, KEYS);
  SHARED(float, tops, 32);
  SHARED(float, sums, 32);
  u32 head = block_x(), token = block_y(), group = head / (a.heads / a.kv_heads), me = thread_x();
  u32 length = global<const pg_state>(a.state)->pos + token + 1;
  Global<const float> query = global<const float>(a.qkv) + (u64(token) * qkv_stride(a) + head * a.head_dim);
  if (me < a.head_dim) q[me] = rotated(a, query, token, me);
  sync_block();
  float slope = a.slopes ? float(global<const float>(a.slopes)[head]) : 0.0f;
  u64 cache = u64(group) * a.context * a.row;
  float high = lowest(), total = 0, sum = 0;
  for (u32 first = 0; first < length; first += KEYS) {
    u32 j = first + me, here = min(length - first, KEYS);
    float s = lowest();
    if (me < here) {
      float dot = 0;
      for (u32 d = 0; d < a.head_dim; d++) dot = fma(q[d], load_cache(a.keys, cache + u64(j) * a.row + d, a.precise), dot);
      s = fma(slope, float(j), dot) * a.scale;
    }
    float now = max(high, block_max(s, tops));
    float shrink = exp_f32(high - now), p = me < here ? exp_f32(s - now) : 0.0f;
    scores[me] = p;
    float added = block_sum(p, sums);
    total = fma(total, shrink, added);
    high = now;
    if (me < a.head_dim) {
      sum *= shrink;
      for (u32 i = 0; i < here; i++) sum = fma(scores[i], load_cache(a.values, cache + u64(first + i) * a.row + me, a.precise), sum);
    }
    sync_block();
  }
  if (me < a.head_dim) write_x({a.x, a.place, a.features, a.precise}, token, head * a.head_dim + me, sum / total);
}
