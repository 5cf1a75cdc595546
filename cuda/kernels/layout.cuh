// The repacked weights and the activations that meet them.
//
// Both are in the fragment order of mma.sync.m16n8k16 (PTX ISA, "Matrix fragments for mma.m16n8k16"), so that a lane's 16 bytes
// of weights are its share of one or several A fragments, and its 16 bytes of activations its share of two B fragments.
//
// A step is 16 input features. In step s, lane l holds eight weights j = 0…7 of the rows r = l/4 (j = 0, 1, 4, 5) and r+8
// (j = 2, 3, 6, 7) and of the features 16·s + 2·(l%4) + (j&1) + 8·(j>>2). Register p = j/2 of the fragment is the pair (2p, 2p+1).
//
//   format   features a tile   vectors   a lane's words
//   g8             32             1      words 2s, 2s+1: bytes j of step s
//   g4, m4, k4     64             1      word s: weight 2p at bit 4p, 2p+1 at bit 16+4p
//   g2, k2        128             1      word s/2: with i = 4·(s%2)+p, weight 2p at bit 2i, 2p+1 at bit 16+2i
//   g3, k3        256             3      vectors 0, 1: the low two bits as g2 (steps 0–7, 8–15); vector 2: the high bit,
//                                        word s/4: with i = 4·(s%4)+p, weight 2p at bit i, 2p+1 at bit 16+i
//   g5, m5, k5    128             2½     vectors 0, 1: the low four bits as g4 (steps 0–3, 4–7); of the half vector, 8 bytes a lane,
//                                        word s/4: the high bit as in g3
//   k6            128             3      vectors 0, 1: the low four bits as g4; vector 2: the high two as g2
//   f16, bf16      32             2      vector s, word p: the pair
//   f32            32             4      vectors 2s, 2s+1: the eight floats
//
// g formats: w = scale·(code − zero). m formats: w = scale·code + minimum. k formats, GGUF's K-quants: scales of two levels, see
// formats_gguf.cuh. Features are sorted by group (act-order), every group
// padded to pairs of steps (group_steps·16 features, group_steps even; k formats have none to pad), the matrix to whole tiles. Rows are padded to tiles of
// 16. Padding features meet zeros in x; padding rows are computed and dropped.
//
// An activation x of `features` (a multiple of 32) is cut in groups of 8 tokens. Two forms have the order of B fragments,
// PG_FRAGMENTS in f16 and PG_FLOATS in f32: [token group][features/32][lane][8], where the lane l = 4·(token%8) + c holds elements
// e = 4·s + 2·h + b of the feature 32·P + 16·s + 8·h + 2·c + b.
//
// PG_CORES, in f16, is made of what wgmma calls core matrices without swizzle, 8 tokens with 8 features each, 128 bytes: blocks of 64
// features, [ceil(features/64)][PG_TOKENS/8 token groups][8][token%8][feature%8]. What neighbouring token groups have of such a block
// lies together, so that one bulk copy brings it. Every buffer has room for PG_TOKENS, whatever the pass: padding features
// keep their places, and their zeros.
#pragma once
#include "device.cuh"

// x_index returns where feature k of a token stands in an x of so many features.
DEVICE u64 x_index(u32 features, u32 token, u32 k) {
  u32 in_pair = k % 32, step = in_pair / 16, f = in_pair % 16;
  u32 lane = token % 8 * 4 + f % 8 / 2, element = step * 4 + f / 8 * 2 + f % 2;
  return u64(token / 8) * features * 8 + u64(k / 32) * 256 + lane * 8 + element;
}

// core_index is x_index of the form PG_CORES.
DEVICE u64 core_index(u32 token, u32 k) {
  return (u64(k / 64) * (PG_TOKENS / 8) + token / 8) * 512 + k % 64 / 8 * 64 + token % 8 * 8 + k % 8;
}
