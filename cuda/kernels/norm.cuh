// norm: LayerNorm or RMSNorm of a token, written as input of up to PG_NORM_OUTPUTS matrices; activate: silu(gate)·up where the
// two stand in different matrices. Oracle: norm and the gated branch of model/oracle.
//
// Both are latency, not bandwidth (40B: 32 KiB in, 160 KiB of weights, 16 KiB out twice, a token). All loads of a row are under
// way at once and the row stays in registers. One block alone would wait for its weights for 50 µs, so for few tokens several
// blocks compute the same statistics and each writes its slice. While decoding most rows come with their statistics: norm_decode.
#pragma once
#include "activation.cuh"
#include "math.cuh"
#include "order.cuh"
#include "reduce.cuh"

// Elements of a row that a thread keeps, and of these how many it writes at a time. Those behind held·256 are read again in
// every pass. AHEAD: outputs whose first batch is under way before the row.
constexpr u32 held = 32, batch = 4, THREADS = 256, AHEAD = 2;

// What a batch of one output needs besides the row: the elements k + i·256, those behind the end being the last.
struct norm_batch {
  float weight[batch], bias[batch];
  u32 place[batch];
};

DEVICE norm_batch load_batch(const pg_norm_args &a, const pg_norm_output &out, u32 k) {
  norm_batch b;
  UNROLL for (u32 i = 0; i < batch; i++) {
    u32 at = min(k + i * THREADS, a.hidden - 1);
    b.weight[i] = global<const float>(out.weight)[at];
    b.bias[i] = out.bias ? global<const float>(out.bias)[at] : 0.0f;
    b.place[i] = out.place ? global<const u32>(out.place)[at] : at;
  }
  return b;
}

// write_batch writes a batch, v before weight and bias. Cores: x has the form PG_CORES.
template <bool Cores>
DEVICE void write_batch(const pg_norm_args &a, const pg_norm_output &out, u32 token, u32 k, const float *v, const norm_batch &b) {
  const u32 form = Cores ? PG_CORES : a.form == PG_FLOATS ? PG_FLOATS : PG_FRAGMENTS;
  UNROLL for (u32 i = 0; i < batch; i++)
    if (k + i * THREADS < a.hidden) write_x({out.x, 0, out.features, form}, token, b.place[i], v[i] * b.weight[i] + b.bias[i]);
}

// write_norm writes a batch to every output. All loads of an output come before its stores, which they could alias for all that
// the compiler knows: the thread waits for memory once a batch, not once an element.
template <bool Cores> DEVICE void write_norm(const pg_norm_args &a, u32 token, u32 k, const float *v) {
  for (u32 o = 0; o < a.outputs; o++) write_batch<Cores>(a, a.output[o], token, k, v, load_batch(a, a.output[o], k));
}

// norm: y = (v − mean)/sqrt(variance + eps)·weight + bias, RMSNorm with a mean of 0; f32, two passes, so that a mean far
// from 0 costs no digits. Grid (tokens, slices): block s of a token writes every slices-th batch of 4·256 features.
template <bool Cores> DEVICE void norm_row(const pg_norm_args &a, Shared<float> sums, Shared<float> squares) {
  const u32 token = block_x(), first = thread_x(), hidden = a.hidden;
  const Global<const float> in = global<const float>(a.in) + u64(token) * hidden;
  // Of its first batch a block loads everything but the row before the row is there.
  let_next_begin();
  const u32 mine = first + block_y() * batch * THREADS;
  norm_batch ahead[AHEAD];
  UNROLL for (u32 o = 0; o < AHEAD; o++) ahead[o] = load_batch(a, a.output[min(o, a.outputs - 1)], mine);
  wait_for_previous();
  float v[held], sum = 0, square = 0, mean = 0;
  UNROLL for (u32 i = 0; i < held; i++) v[i] = first + i * THREADS < hidden ? float(in[first + i * THREADS]) : 0.0f;
  const u32 behind = first + held * THREADS;
  if (!a.rms) {
    UNROLL for (u32 i = 0; i < held; i++) sum += v[i];
    for (u32 k = behind; k < hidden; k += THREADS) sum += in[k];
    mean = block_sum(sum, sums) / float(hidden);
  }
  UNROLL for (u32 i = 0; i < held; i++) {
    v[i] -= mean;
    if (first + i * THREADS < hidden) square = fma(v[i], v[i], square);
  }
  for (u32 k = behind; k < hidden; k += THREADS) {
    float d = in[k] - mean;
    square = fma(d, d, square);
  }
  float scale = 1.0f / square_root(block_sum(square, squares) / float(hidden) + a.eps);
  UNROLL for (u32 i = 0; i < held; i++) v[i] *= scale;
  UNROLL for (u32 i = 0; i < held; i += batch) {
    if (i / batch % grid_y() != block_y()) continue;
    if (i / batch != block_y()) {
      write_norm<Cores>(a, token, first + i * THREADS, v + i);
      continue;
    }
    UNROLL for (u32 o = 0; o < AHEAD; o++)
      if (o < a.outputs) write_batch<Cores>(a, a.output[o], token, mine, v + i, ahead[o]);
    for (u32 o = AHEAD; o < a.outputs; o++) write_batch<Cores>(a, a.output[o], token, mine, v + i, load_batch(a, a.output[o], mine));
  }
  for (u32 k = behind, n = held / batch; k < hidden; k += batch * THREADS, n++) {
    if (n % grid_y() != block_y()) continue;
    UNROLL for (u32 i = 0; i < batch; i++) v[i] = k + i * THREADS < hidden ? (in[k + i * THREADS] - mean) * scale : 0.0f;
    write_norm<Cores>(a, token, k, v);
  }
}
