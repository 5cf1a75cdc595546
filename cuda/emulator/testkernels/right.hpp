// Kernels whose results a test computes again. One block of n threads unless said otherwise.
#pragma once

// twice: out[i] = 2·in[i], f32, any grid.
KERNEL(twice, pg_test_args, 256) {
  u64 i = u64(block_x()) * block_threads() + thread_x();
  if (i < a.n) global<float>(a.out)[i] = 2 * global<const float>(a.in)[i];
}

// reverse: out[i] = in[n−1−i] by way of shared memory.
KERNEL(reverse, pg_test_args, 1024) {
  SHARED(u32, held, 1024);
  DYNAMIC_SHARED(u32, more);
  held[thread_x()] = global<const u32>(a.in)[thread_x()];
  sync_block();
  more[thread_x()] = held[u32(a.n) - 1 - thread_x()];
  sync_block();
  global<u32>(a.out)[thread_x()] = more[thread_x()];
}

// votes: out[3·i…] = the value of lane (5·i + 3)%32, the sum over the warp by shuffle_xor, the ballot of in[i] odd.
KERNEL(votes, pg_test_args, 256) {
  u32 i = thread_x(), v = global<const u32>(a.in)[i], sum = v;
  for (u32 mask = 16; mask; mask /= 2) sum += shuffle_xor(sum, mask);
  Global<u32> out = global<u32>(a.out) + 3 * i;
  out[0] = u32(shuffle(float(v), 5 * i + 3));
  out[1] = sum;
  out[2] = ballot(v % 2);
}

// product: out[16×8] += A[16×16]·B[16×8]; A and B are f16, row-major in `in`, B behind A. One warp. n is 1: the rows of A come
// without waiting for the copy.
KERNEL(product, pg_test_args, 32) {
  SHARED(u32x4, rows, 64); // A: 2 a row; B: 1 a row
  const u32 l = lane_id(), g = l / 4, t = l % 4 * 2;
  Global<const u32x4> in = global<const u32x4>(a.in);
  cp_async16(rows + l, in + l);
  cp_async_commit();
  cp_async16(rows + 32 + l, in + 32 + l, l < 16);
  cp_async_commit();
  if (a.n == 0) cp_async_wait<1>();
  sync_warp();
  u32 m[4], w[4], b[2];
  ldmatrix_x4(m, rows + (l % 16 * 2 + l / 16));
  cp_async_wait<0>();
  sync_warp();
  ldmatrix_x4_trans(w, rows + 32 + l);
  b[0] = w[0];
  b[1] = w[1];
  Global<float> out = global<float>(a.out);
  float c[4];
  for (u32 i = 0; i < 4; i++) c[i] = out[(g + i / 2 * 8) * 8 + t + i % 2];
  mma_f16(c, m, b);
  for (u32 i = 0; i < 4; i++) out[(g + i / 2 * 8) * 8 + t + i % 2] = c[i];
  out[128 + l] = bits_to_f32(w[2] | w[3]); // the rows that were not valid
}

// halves: out[i] = in[i] as f16 bits for n floats, any grid. widened: out[i] = in[i] as float for n f16.
KERNEL(halves, pg_test_args, 256) {
  for (u64 i = u64(block_x()) * block_threads() + thread_x(); i < a.n; i += grid_x() * block_threads())
    global<u16>(a.out)[i] = to_f16(global<const float>(a.in)[i]);
}
KERNEL(widened, pg_test_args, 256) {
  for (u64 i = u64(block_x()) * block_threads() + thread_x(); i < a.n; i += grid_x() * block_threads())
    global<float>(a.out)[i] = from_f16(global<const u16>(a.in)[i]);
}

// pairs: the sum, difference, product, fused product and byte permutation of words in[3·i…].
KERNEL(pairs, pg_test_args, 256) {
  for (u64 i = u64(block_x()) * block_threads() + thread_x(); i < a.n; i += grid_x() * block_threads()) {
    Global<const u32> in = global<const u32>(a.in) + i * 3;
    Global<u32> out = global<u32>(a.out) + 5 * i;
    out[0] = add_f16x2(in[0], in[1]);
    out[1] = sub_f16x2(in[0], in[1]);
    out[2] = mul_f16x2(in[0], in[1]);
    out[3] = fma_f16x2(in[0], in[1], in[2]);
    out[4] = byte_permute(in[0], in[1], in[2]);
  }
}

// tickets: every thread takes one of out[0]; any grid.
KERNEL(tickets, pg_test_args, 256) {
  u32 ticket = atomic_add(global<u32>(a.out), 1);
  atomic_add(global<u32>(a.out) + 1 + ticket, 1);
}
