// expand_F: weights of formats that no prefill kernel reads (formats_gguf.cuh) as f16, rounded once, in the layout of format f16.
//
// Grid: vectors of 16 bytes over 256, rounded up; a thread writes one, 8 weights. Runs before a prompt's product: it reads the matrix
// and writes 2 bytes a weight, however few the tokens; on an H100 that is 37 to 42 % of a pass of 512. Oracle:
// quant.Matrix.Dequantize, rounded once.
#include "grid.cuh"

template <class F> DEVICE void expand(const pg_expand_args &a) {
  const pg_matrix &w = a.w;
  u64 i = u64(block_x()) * 256 + thread_x();
  u32 steps = w.k_tiles * F::steps, lane = lane_id(), step = u32(i / 32 % steps), tile = u32(i / 32 / steps);
  if (tile >= a.tiles) return;
  memory_words words = {global<const u32>(w.codes) + (u64(tile) * w.k_tiles + step / F::steps) * tile_vectors<F> * 4, lane};
  grid_entry e = load_entry<F>(w, tile, step / w.group_steps);
  u32 out[4];
  UNROLL for (u32 p = 0; p < 4; p++) {
    float v[2];
    UNROLL for (u32 b = 0; b < 2; b++) {
      u32 stored = F::stored(words, step % F::steps, 2 * p + b);
      v[b] = clamp_f16(weight_f32<F>(stored, scale_value(w, e.scale[p % 2]), e.offset[p % 2]));
    }
    out[p] = pack_f16(v[0], v[1]);
  }
  store16(global<u32x4>(a.to) + i, {out[0], out[1], out[2], out[3]});
}

KERNEL(expand_g5, pg_expand_args, 256) { expand<g5>(a); }
KERNEL(expand_m5, pg_expand_args, 256) { expand<m5>(a); }
KERNEL(expand_k2, pg_expand_args, 256) { expand<k2>(a); }
KERNEL(expand_k3, pg_expand_args, 256) { expand<k3>(a); }
KERNEL(expand_k4, pg_expand_args, 256) { expand<k4>(a); }
KERNEL(expand_k5, pg_expand_args, 256) { expand<k5>(a); }
KERNEL(expand_k6, pg_expand_args, 256) { expand<k6>(a); }
