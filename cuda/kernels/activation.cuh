// Writing an activation that feeds a matrix product.
#pragma once
#include "layout.cuh"

// An x of `features` in a form (pg_form); place says where a feature stands, 0: as it is. Features without a place, and tokens up
// to the next multiple of 8, keep what the buffer held.
struct activation {
  pg_ptr x, place;
  u32 features, form;
};

// write_x stores feature k of a token; f16 saturates, NaN stays NaN.
DEVICE void write_x(const activation &to, u32 token, u32 k, float v) {
  if (to.place) k = global<const u32>(to.place)[k];
  u64 at = to.form == PG_CORES ? core_index(token, k) : x_index(to.features, token, k);
  if (to.form == PG_FLOATS)
    global<float>(to.x)[at] = v;
  else
    global<u16>(to.x)[at] = to_f16(clamp_f16(v));
}
