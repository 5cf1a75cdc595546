// embed_F: out[token][feature] = w[id][place[feature]], exactly quant.Matrix.Dequantize's value.
//
// Grid: tokens, 256 threads. Reads one row of a repacked matrix: 16-byte vectors hold two rows' weights and a tile 16 rows,
// so that it moves 4 to 8 times the row's bytes, of which a prompt has few. Oracle: quant.Matrix.Dequantize.
#pragma once
#include "grid.cuh"

template <class F> DEVICE void embed(const pg_embed_args &a) {
  let_next_begin();
  const pg_matrix &w = a.w;
  u32 row = u32(global<const i32>(a.ids)[block_x()]), r = row % 16;
  Global<float> out = global<float>(a.out) + u64(block_x()) * a.hidden;
  for (u32 feature = thread_x(); feature < a.hidden; feature += block_threads()) {
    u32 k = a.place ? global<const u32>(a.place)[feature] : feature;
    u32 in_tile = k % F::features, f = k % 16;
    u32 lane = r % 8 * 4 + f % 8 / 2, j = f / 8 * 4 + r / 8 * 2 + f % 2;
    u64 tile = u64(row / 16) * w.k_tiles + k / F::features;
    memory_words words = {global<const u32>(w.codes) + tile * tile_vectors<F> * 4, lane};
    row_entry e = {0, 0};
    if constexpr (F::kind != DENSE) e = load_row<F>(w, row, k / 16 / w.group_steps);
    out[feature] = weight_f32<F>(F::stored(words, in_tile / 16, j), scale_value(w, e.scale), e.offset);
  }
}
