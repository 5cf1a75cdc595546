// Dot products by sdot, for neon_int.c and neon_parts.c, which may use it.

PG_INLINE pg_i8 same(int v) { return (pg_i8){{vdupq_n_s32(v), vdupq_n_s32(v)}}; }

// sum + the products of 8 rows with 16 features of a token: unit i is w[2*i], w[2*i+1].
PG_INLINE pg_i8 half_dot(pg_i8 sum, const int8x16_t w[8], const int8_t *x) {
  const int8x16_t v = vld1q_s8(x);
  for (int r = 0; r < 2; r++) {
    sum.val[r] = vdotq_laneq_s32(sum.val[r], w[r], v, 0);
    sum.val[r] = vdotq_laneq_s32(sum.val[r], w[2 + r], v, 1);
    sum.val[r] = vdotq_laneq_s32(sum.val[r], w[4 + r], v, 2);
    sum.val[r] = vdotq_laneq_s32(sum.val[r], w[6 + r], v, 3);
  }
  return sum;
}
