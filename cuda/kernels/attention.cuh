// What the attention kernels share: rotation, the cache, and one warp's step over 32 keys on tensor cores.
//
// The cache of a layer is [kv_heads][context][row] for keys and [kv_heads][context/64][row][64] for values, row being head_dim padded
// with zeros, context a multiple of 64. So both are read 16 bytes a lane, in the order in which mma.m16n8k16 wants them, and what is
// read together lies together:
//
//   scores: k = features. Lane 4·n + c holds the features c·row/4 … of key n, steps taking four of them each; queries are laid
//   out alike, so it does not matter which feature is which.
//   Σ p·v: k = keys. Column n of tile t is key 8·(n/2) + 2·t + n%2 of the 32, so that the scores that a lane holds after the
//   first product (columns 2c, 2c+1 of four tiles) are its eight neighbouring keys 8c …, and 16 bytes of values match them.
#pragma once
#include "activation.cuh"
#include "math.cuh"

constexpr u32 WARP_KEYS = 32, VALUE_KEYS = PG_VALUE_KEYS;

DEVICE float lowest() { return bits_to_f32(0xff800000u); } // −∞

DEVICE u32 qkv_stride(const pg_attention_args &a) { return (a.heads + 2 * a.kv_heads) * a.head_dim; }

// rotated returns element d of a head at `from`, turned by the token's angles (NeoX halves); 0 in the padding.
DEVICE float rotated(const pg_attention_args &a, Global<const float> from, u32 token, u32 d) {
  if (d >= a.head_dim) return 0;
  if (!a.angles) return from[d];
  u32 half = a.head_dim / 2, i = d % half;
  Global<const float> angle = global<const float>(a.angles) + (u64(token) * half + i) * 2;
  float x = from[i], y = from[i + half], c = angle[0], s = angle[1];
  return d < half ? x * c - y * s : y * c + x * s;
}

DEVICE Global<const float> query_of(const pg_attention_args &a, u32 token, u32 head) {
  return global<const float>(a.qkv) + (u64(token) * qkv_stride(a) + head * a.head_dim);
}

DEVICE void store_cache(const pg_attention_args &a, pg_ptr cache, u64 at, float v) {
  if (a.precise)
    global<float>(cache)[at] = v;
  else
    global<u16>(cache)[at] = to_f16(clamp_f16(v));
}

// value_index returns where element d of a KV head's value at a position is.
DEVICE u64 value_index(const pg_attention_args &a, u32 kv_head, u32 pos, u32 d) {
  return ((u64(kv_head) * (a.context / VALUE_KEYS) + pos / VALUE_KEYS) * a.row + d) * VALUE_KEYS + pos % VALUE_KEYS;
}

// store_token writes the new key and value of one KV head; the block's threads share the features.
DEVICE void store_token(const pg_attention_args &a, u32 token, u32 pos, u32 kv_head) {
  Global<const float> key = query_of(a, token, a.heads + kv_head), value = query_of(a, token, a.heads + a.kv_heads + kv_head);
  for (u32 d = thread_x(); d < a.head_dim; d += block_threads()) {
    store_cache(a, a.keys, (u64(kv_head) * a.context + pos) * a.row + d, rotated(a, key, token, d));
    store_cache(a, a.values, value_index(a, kv_head, pos, d), value[d]);
  }
}

// A warp's 16 query rows on their way through the keys. A lane has rows lane/4 and lane/4 + 8.
template <u32 Row> struct attending {
  u32 q[Row / 16][4];  // A fragments
  float o[Row / 8][4]; // Σ p·v
  float high[2];       // largest score of the row so far
  float total[2];      // Σ p of this lane's keys
  float slope[2];
  u32 visible[2]; // keys that the row may see
};

// key_words loads a lane's features of a key.
template <u32 Row> DEVICE void key_words(Global<const u16> key, u32 (&w)[Row / 8]) {
  Global<const u16> from = key + lane_id() % 4 * (Row / 4);
  if constexpr (Row == 16) {
    UNROLL for (u32 i = 0; i < 2; i++) w[i] = u32(u16(from[2 * i])) | u32(u16(from[2 * i + 1])) << 16;
  } else {
    UNROLL for (u32 i = 0; i < Row / 32; i++) {
      u32x4 v = load16(from + i * 8);
      w[4 * i] = v.x, w[4 * i + 1] = v.y, w[4 * i + 2] = v.z, w[4 * i + 3] = v.w;
    }
  }
}

// Where a KV head's cache lies, and the first of 32 keys.
template <u32 Row> struct cached_keys {
  Global<const u16> keys, values;
  u32 first;
};

// values_of returns element 0 of the values of the 32 keys; those of the next element are VALUE_KEYS behind.
template <u32 Row> DEVICE Global<const u16> values_of(const cached_keys<Row> &k) {
  return k.values + (u64(k.first / VALUE_KEYS) * Row * VALUE_KEYS + k.first % VALUE_KEYS);
}

// bring_keys lets the L2 cache have the 32 keys and their values.
template <u32 Row> DEVICE void bring_keys(const cached_keys<Row> &k) {
  constexpr u32 Line = 64; // f16 in 128 bytes
  for (u32 i = lane_id(); i < WARP_KEYS * Row / Line; i += 32) prefetch(k.keys + (u64(k.first) * Row + i * Line));
  for (u32 i = lane_id(); i < Row; i += 32) prefetch(values_of(k) + i * VALUE_KEYS);
}

// attend takes 32 keys in, and the values of those before `end`.
template <u32 Row> DEVICE void attend(const pg_attention_args &a, const cached_keys<Row> &from, u32 end, attending<Row> &w) {
  const u32 n = lane_id() / 4, c = lane_id() % 4, first = from.first;
  float s[4][4] = {};
  UNROLL for (u32 t = 0; t < 4; t++) {
    u32 words[Row / 8];
    key_words<Row>(from.keys + u64(first + n / 2 * 8 + t * 2 + n % 2) * Row, words);
    UNROLL for (u32 step = 0; step < Row / 16; step++) {
      u32 b[2] = {words[2 * step], words[2 * step + 1]};
      mma_f16(s[t], w.q[step], b);
    }
  }
  float top[2] = {lowest(), lowest()};
  UNROLL for (u32 t = 0; t < 4; t++) {
    UNROLL for (u32 i = 0; i < 4; i++) {
      u32 key = first + c * 8 + t * 2 + i % 2;
      s[t][i] = key < w.visible[i / 2] ? fma(w.slope[i / 2], float(key), s[t][i]) * a.scale : lowest();
      top[i / 2] = max(top[i / 2], s[t][i]);
    }
  }
  u32 p[4][2]; // tile, row: two probabilities, f16
  UNROLL for (u32 r = 0; r < 2; r++) {
    top[r] = max(top[r], shuffle_xor(top[r], 1));
    top[r] = max(top[r], shuffle_xor(top[r], 2));
    top[r] = max(top[r], w.high[r]);
    float base = top[r] == lowest() ? 0.0f : top[r]; // no key seen yet: everything is 0
    float shrink = exp2_approx((w.high[r] - base) * LOG2_E);
    w.high[r] = top[r];
    w.total[r] *= shrink;
    UNROLL for (u32 t = 0; t < 4; t++) {
      float x = exp2_approx((s[t][2 * r] - base) * LOG2_E), y = exp2_approx((s[t][2 * r + 1] - base) * LOG2_E);
      w.total[r] += x + y;
      p[t][r] = pack_f16(x, y);
    }
    UNROLL for (u32 i = 0; i < Row / 8; i++) w.o[i][2 * r] *= shrink, w.o[i][2 * r + 1] *= shrink;
  }
  // Behind the end of the sequence the cache holds what one wrote that was cut off, NaN perhaps, and 0·NaN is NaN.
  u32 there = end - min(first + c * 8, end), keep[4];
  UNROLL for (u32 i = 0; i < 4; i++) keep[i] = there > 2 * i + 1 ? 0xffffffffu : there > 2 * i ? 0xffffu : 0;
  u32 low[4] = {p[0][0], p[0][1], p[1][0], p[1][1]}, high[4] = {p[2][0], p[2][1], p[3][0], p[3][1]};
  const Global<const u16> values = values_of(from);
  UNROLL for (u32 i = 0; i < Row / 8; i++) {
    u32x4 v = load16(values + ((i * 8 + n) * VALUE_KEYS + c * 8));
    u32 b0[2] = {v.x & keep[0], v.y & keep[1]}, b1[2] = {v.z & keep[2], v.w & keep[3]};
    mma_f16(w.o[i], low, b0);
    mma_f16(w.o[i], high, b1);
  }
}

// begin_attending starts with no key seen.
template <u32 Row> DEVICE void begin_attending(attending<Row> &w) {
  UNROLL for (u32 i = 0; i < Row / 8; i++) {
    UNROLL for (u32 j = 0; j < 4; j++) w.o[i][j] = 0;
  }
  UNROLL for (u32 r = 0; r < 2; r++) w.high[r] = lowest(), w.total[r] = 0, w.slope[r] = 0, w.visible[r] = 0;
}

// share_totals adds up Σ p over the four lanes of a row.
template <u32 Row> DEVICE void share_totals(attending<Row> &w) {
  UNROLL for (u32 r = 0; r < 2; r++) {
    w.total[r] += shuffle_xor(w.total[r], 1);
    w.total[r] += shuffle_xor(w.total[r], 2);
  }
}
