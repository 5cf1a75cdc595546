// attention_prefill_ROW: causal attention of many tokens, f16 on tensor cores with f32 sums; keys and values of the new
// tokens are in the cache already (rope_store).
//
// Grid (ceil(tokens / 128), heads), 256 threads: a warp takes 16 tokens of one head through all keys that the last of them
// sees, 32 at a time, with an online softmax (Dao et al. 2022). Keys and values come from the caches of the GPU: the block's
// warps walk over the same ones. No shared memory. Oracle: attention of model/oracle.
#pragma once
#include "attention.cuh"

template <u32 Row> DEVICE void attention_prefill(const pg_attention_args &a) {
  const u32 head = block_y(), kv_head = head / (a.heads / a.kv_heads), first = block_x() * 128 + warp_id() * 16;
  const u32 n = lane_id() / 4, c = lane_id() % 4, pos = global<const pg_state>(a.state)->pos;
  if (first >= a.tokens) return;
  attending<Row> w;
  begin_attending(w);
  UNROLL for (u32 r = 0; r < 2; r++) {
    u32 token = first + n + 8 * r;
    bool there = token < a.tokens;
    if (there) w.visible[r] = pos + token + 1;
    if (a.slopes) w.slope[r] = global<const float>(a.slopes)[head];
    Global<const float> query = query_of(a, there ? token : 0, head);
    UNROLL for (u32 i = 0; i < Row / 8; i++) {
      u32 d = c * (Row / 4) + 2 * i;
      u32 pair = there ? pack_f16(clamp_f16(rotated(a, query, token, d)), clamp_f16(rotated(a, query, token, d + 1))) : 0;
      w.q[i / 2][i % 2 * 2 + r] = pair;
    }
  }
  Global<const u16> keys = global<const u16>(a.keys) + u64(kv_head) * a.context * Row;
  Global<const u16> values = global<const u16>(a.values) + u64(kv_head) * Row * a.context;
  u32 end = pos + min(first + 16, a.tokens);
  for (u32 key = 0; key < end; key += WARP_KEYS) attend<Row>(a, {keys, values, key}, pos + a.tokens, w);
  share_totals(w);
  UNROLL for (u32 r = 0; r < 2; r++) {
    u32 token = first + n + 8 * r;
    if (token >= a.tokens) continue;
    UNROLL for (u32 i = 0; i < Row / 8; i++) {
      UNROLL for (u32 j = 0; j < 2; j++) {
        u32 d = i * 8 + c * 2 + j;
        if (d < a.head_dim) write_x({a.x, a.place, a.features, a.form}, token, head * a.head_dim + d, w.o[i][2 * r + j] / w.total[r]);
      }
    }
  }
}
