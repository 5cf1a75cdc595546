// From the bytes of a GGUF file to the layout of layout.cuh, for formats_gguf.cuh. Everything runs once, at load, on 256 threads a
// block. Where a block of the file has what is said at quant.dequantizeSuper and quant.fives.
//
//   kernel                                       writes                          threads             oracle in model/quant
//   repack_q5_0 → g5, q5_1 → m5, q2_k → k2 …     codes                           one a vector        Matrix.Dequantize
//   repack_scales_q5_0 _q5_1, repack_minima_q5_1 scales, offsets: f16            one a scale         Matrix.Dequantize
//   repack_scales_q2_k … q6_k                    scales: bytes, minima too       one a scale         Matrix.Dequantize
//   repack_supers_q2_k … q6_k                    supers                          one a super-block   Matrix.Dequantize
//
// Grids and reads are those of repack.cu. Format g5 of Q5_0 has the zero point 16, k3 of Q3_K 4, k6 of Q6_K 32.
#include "repack.cuh"

// Q5_0 and Q5_1: Header bytes, whose last four are the fifth bits, then nibbles.
template <u32 Header> struct five_source {
  static constexpr u32 bytes = Header + 16;
  DEVICE source_row row(const pg_repack_args &a, u32 n) { return stored_row(a, n); }
  DEVICE u32 stored(const pg_repack_args &a, source_row r, u32 k) {
    u64 block = (u64(r.row) * (a.in / 32) + k / 32) * bytes;
    u32 high = u32(global<const u8>(a.source[0])[block + Header - 4 + k % 32 / 8]) >> (k % 8) & 1;
    return nibble_source<Header>::stored(a, r, k) | high << 4;
  }
};

// A K-quant Q says of a block of so many bytes what is weight k, and group g's bytes; d is at byte
// `super`, and e, where there are minima, behind it.
template <class Q> struct super_source {
  DEVICE Global<const u8> block(const pg_repack_args &a, u32 row, u32 super) {
    return global<const u8>(a.source[0]) + (u64(row) * (a.in / 256) + super) * Q::bytes;
  }
  DEVICE source_row row(const pg_repack_args &a, u32 n) { return stored_row(a, n); }
  DEVICE u32 stored(const pg_repack_args &a, source_row r, u32 k) { return Q::code(block(a, r.row, k / 256), k % 256); }
};

// Two bits of weight k of 256, from 64 bytes: 32 neighbours are in as many bytes, four such runs share them.
DEVICE u32 two_bits(Global<const u8> codes, u32 k) { return codes[k / 128 * 32 + k % 32] >> (k / 32 % 4 * 2) & 3; }
// Four bits, from 128 bytes, which two runs of 32 share.
DEVICE u32 four_bits(Global<const u8> codes, u32 k) { return codes[k / 64 * 32 + k % 32] >> (k / 32 % 2 * 4) & 15; }
// One bit, from 32 bytes, which all runs share.
DEVICE u32 one_bit(Global<const u8> bits, u32 k) { return bits[k % 32] >> (k / 32) & 1; }

// The 6-bit scale of group g of eight, and its minimum, from 12 bytes: quant.sixBits.
DEVICE u32 six_bit_scale(Global<const u8> p, u32 g) { return g < 4 ? p[g] & 63 : (p[g + 4] & 15) | p[g - 4] >> 6 << 4; }
DEVICE u32 six_bit_minimum(Global<const u8> p, u32 g) { return g < 4 ? p[g + 4] & 63 : p[g + 4] >> 4 | p[g] >> 6 << 4; }

struct q2_k {
  static constexpr u32 bytes = 84, super = 80;
  DEVICE u32 code(Global<const u8> b, u32 k) { return two_bits(b + 16, k); }
  DEVICE u32 scale(Global<const u8> b, u32 g) { return b[g]; } // and minimum
};

struct q3_k {
  static constexpr u32 bytes = 110, super = 108;
  DEVICE u32 code(Global<const u8> b, u32 k) { return two_bits(b + 32, k) | one_bit(b, k) << 2; }
  DEVICE u32 scale(Global<const u8> b, u32 g) { // quant.sixBitsSigned
    return ((b[96 + g % 8] >> (g / 8 * 4) & 15) | (b[104 + g % 4] >> (g / 4 * 2) & 3) << 4) - 32 + k3::bias;
  }
};

struct q4_k {
  static constexpr u32 bytes = 144, super = 0;
  DEVICE u32 code(Global<const u8> b, u32 k) { return four_bits(b + 16, k); }
  DEVICE u32 scale(Global<const u8> b, u32 g) { return six_bit_scale(b + 4, g); }
  DEVICE u32 minimum(Global<const u8> b, u32 g) { return six_bit_minimum(b + 4, g); }
};

struct q5_k {
  static constexpr u32 bytes = 176, super = 0;
  DEVICE u32 code(Global<const u8> b, u32 k) { return four_bits(b + 48, k) | one_bit(b + 16, k) << 4; }
  DEVICE u32 scale(Global<const u8> b, u32 g) { return six_bit_scale(b + 4, g); }
  DEVICE u32 minimum(Global<const u8> b, u32 g) { return six_bit_minimum(b + 4, g); }
};

struct q6_k {
  static constexpr u32 bytes = 210, super = 208;
  DEVICE u32 code(Global<const u8> b, u32 k) {
    return (b[k / 128 * 64 + k % 64] >> (k / 64 % 2 * 4) & 15) | two_bits(b + 128, k) << 4;
  }
  DEVICE u32 scale(Global<const u8> b, u32 g) { return b[192 + g] ^ k6::bias; }
};

// repack_bytes writes one row's bytes of a group. Padding rows get 0.
template <class F, class Q> DEVICE void repack_bytes(const pg_repack_args &a) {
  grid_place p = place_in_grid(a, a.w.groups);
  if (!p.there) return;
  source_row r = stored_row(a, p.row);
  constexpr u32 groups = 16 / F::grain; // of a super-block
  u32 scale = 0, minimum = 0;
  if (r.row != NONE) {
    Global<const u8> block = super_source<Q>::block(a, r.row, p.group / groups);
    scale = Q::scale(block, p.group % groups);
    if constexpr (F::entry == 2) minimum = Q::minimum(block, p.group % groups);
  }
  Global<u8> entry = global<u8>(a.w.scales) + p.at / 16 * 16 * F::entry;
  entry[group_byte<F>(p.row, 0)] = u8(scale);
  if constexpr (F::entry == 2) entry[group_byte<F>(p.row, 1)] = u8(minimum);
}

// repack_super writes one super-block's scales. Padding rows get 0.
template <class F, class Q> DEVICE void repack_super(const pg_repack_args &a) {
  grid_place p = place_in_grid(a, a.w.groups * F::grain / 16);
  if (!p.there) return;
  source_row r = stored_row(a, p.row);
  u32 d = 0, e = 0;
  if (r.row != NONE) {
    Global<const u8> from = super_source<Q>::block(a, r.row, p.group) + Q::super;
    d = u32(from[0]) | u32(from[1]) << 8;
    if constexpr (F::kind == SCALED) e = u32(from[2]) | u32(from[3]) << 8;
  }
  if constexpr (F::kind == SCALED)
    global<u32>(a.w.supers)[p.at] = d | e << 16;
  else
    global<u16>(a.w.supers)[p.at] = u16(d);
}

KERNEL(repack_q5_0, pg_repack_args, 256) { repack_vector<g5, five_source<6>>(a); }
KERNEL(repack_q5_1, pg_repack_args, 256) { repack_vector<m5, five_source<8>>(a); }
KERNEL(repack_q2_k, pg_repack_args, 256) { repack_vector<k2, super_source<q2_k>>(a); }
KERNEL(repack_q3_k, pg_repack_args, 256) { repack_vector<k3, super_source<q3_k>>(a); }
KERNEL(repack_q4_k, pg_repack_args, 256) { repack_vector<k4, super_source<q4_k>>(a); }
KERNEL(repack_q5_k, pg_repack_args, 256) { repack_vector<k5, super_source<q5_k>>(a); }
KERNEL(repack_q6_k, pg_repack_args, 256) { repack_vector<k6, super_source<q6_k>>(a); }

KERNEL(repack_scales_q5_0, pg_repack_args, 256) { repack_half<five_source<6>, 0>(a, a.w.scales); }
KERNEL(repack_scales_q5_1, pg_repack_args, 256) { repack_half<five_source<8>, 0>(a, a.w.scales); }
KERNEL(repack_minima_q5_1, pg_repack_args, 256) { repack_half<five_source<8>, 2>(a, a.w.offsets); }
KERNEL(repack_scales_q2_k, pg_repack_args, 256) { repack_bytes<k2, q2_k>(a); }
KERNEL(repack_scales_q3_k, pg_repack_args, 256) { repack_bytes<k3, q3_k>(a); }
KERNEL(repack_scales_q4_k, pg_repack_args, 256) { repack_bytes<k4, q4_k>(a); }
KERNEL(repack_scales_q5_k, pg_repack_args, 256) { repack_bytes<k5, q5_k>(a); }
KERNEL(repack_scales_q6_k, pg_repack_args, 256) { repack_bytes<k6, q6_k>(a); }
KERNEL(repack_supers_q2_k, pg_repack_args, 256) { repack_super<k2, q2_k>(a); }
KERNEL(repack_supers_q3_k, pg_repack_args, 256) { repack_super<k3, q3_k>(a); }
KERNEL(repack_supers_q4_k, pg_repack_args, 256) { repack_super<k4, q4_k>(a); }
KERNEL(repack_supers_q5_k, pg_repack_args, 256) { repack_super<k5, q5_k>(a); }
KERNEL(repack_supers_q6_k, pg_repack_args, 256) { repack_super<k6, q6_k>(a); }
