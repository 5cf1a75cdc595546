// linear_precise_F: linear_decode in f32: x is f32 (in the same order), weights as quant.Matrix.Dequantize gives them, fma.
//
// Grid: (row tiles of all segments, groups of 8 tokens), 256 threads. Shared memory: 4 KiB.
// Reads the weights once for 8 tokens. Oracle: quant.Matrix.Dequantize times x.
//
// The mode that is compared with the oracle, and an order of magnitude away from the memory's speed: no tensor cores, no pipeline.
#pragma once
#include "linear.cuh"

// add_pair adds the products of 32 features: a lane's 16 weights with x of each token.
DEVICE void add_pair(const float (&w)[2][8], Global<const u32x4> x, u32 tokens, float (&sum)[2][8]) {
  UNROLL for (u32 n = 0; n < 8; n++) {
    if (n >= tokens) break;
    UNROLL for (u32 s = 0; s < 2; s++) {
      u32x4 v = load16(x + (n * 8 + s));
      UNROLL for (u32 i = 0; i < 2; i++) {
        float y = fma(w[s][2 * i], bits_to_f32(v.x), sum[i][n]);
        y = fma(w[s][2 * i + 1], bits_to_f32(v.y), y);
        y = fma(w[s][2 * i + 4], bits_to_f32(v.z), y);
        sum[i][n] = fma(w[s][2 * i + 5], bits_to_f32(v.w), y);
      }
    }
  }
}

template <class F> DEVICE void precise_tiles(const pg_source &source, u32 tile, share part, u32 tokens, float (&sum)[2][8]) {
  constexpr u32 V = F::vectors;
  const pg_matrix &w = source.w;
  Global<const u32x4> codes = global<const u32x4>(w.codes) + (u64(tile) * w.k_tiles + part.begin) * tile_vectors<F>;
  // Lane c of a row's four has 8 floats of each pair and token: two vectors, the token's lanes side by side.
  u32 pairs = w.k_tiles * (F::features / 32);
  Global<const u32x4> x = global<const u32x4>(source.x) + ((u64(block_y()) * pairs + part.begin * (F::features / 32)) * 64 + lane_id() % 4 * 2);
  u32 step = part.begin * F::steps, group = 0, left = 1;
  if (F::kind != DENSE) {
    group = step / w.group_steps;
    left = w.group_steps - step % w.group_steps;
  }
  grid_entry e = load_entry<F>(w, tile, group);
  for (u32 t = part.begin; t < part.end; t++) {
    register_words<V> words;
    UNROLL for (u32 v = 0; v < V; v++) {
      if (F::half && v == V - 1) {
        Global<const u32> two = cast<const u32>(codes + v * 32) + lane_id() * 2;
        words.v[v] = {two[0], two[1], 0, 0};
      } else {
        words.v[v] = load_stream(codes + v * 32 + lane_id());
      }
    }
    codes = codes + tile_vectors<F>;
    UNROLL for (u32 pair = 0; pair < F::features / 32; pair++) {
      float weight[2][8];
      UNROLL for (u32 s = 0; s < 2; s++) {
        UNROLL for (u32 j = 0; j < 8; j++) {
          u32 row = j / 2 % 2;
          weight[s][j] = weight_f32<F>(F::stored(words, 2 * pair + s, j), scale_value(w, e.scale[row]), e.offset[row]);
        }
        if (F::kind != DENSE && --left == 0) {
          e = load_entry<F>(w, tile, ++group);
          left = w.group_steps;
        }
      }
      add_pair(weight, x, tokens, sum);
      x = x + 64;
    }
  }
}

template <class F> DEVICE void linear_precise(const pg_linear_args &a) {
  SHARED(float, sums, LINEAR_WARPS * 16 * 8);
  linear_block b = find_block(a, block_x(), 1);
  const pg_segment &s = a.segment[b.segment];
  u32 first = block_y() * 8, tokens = min(a.tokens - first, 8u), row = lane_id() / 4, c = lane_id() % 4;
  float sum[2][8] = {};
  for (u32 i = 0; i < s.sources; i++) {
    share part = warp_part(s.source[i].w.k_tiles);
    if (part.begin < part.end) precise_tiles<F>(s.source[i], b.tile, part, tokens, sum);
  }
  UNROLL for (u32 i = 0; i < 2; i++) {
    UNROLL for (u32 n = 0; n < 8; n++) {
      float y = sum[i][n];
      y += shuffle_xor(y, 1);
      y += shuffle_xor(y, 2);
      if (c == n / 2) sums[(warp_id() * 16 + row + 8 * i) * 8 + n] = y;
    }
  }
  sync_block();
  finish_tiles<true, 1>(s, b.tile, first, tokens, sums);
}
