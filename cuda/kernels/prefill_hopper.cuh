// linear_prefill_F for compute capability 9.0: y = W·x for many tokens by wgmma; f16 x (PG_CORES) and weights, f32 sums; the
// epilogue of the segment.
//
// Grid: (Σ over segments ceil(tiles / PG_PREFILL_TILES), ceil(tokens / PG_HOPPER_TOKENS)), 384 threads. Shared memory:
// PG_HOPPER_SHARED, dynamic. A block computes 128 rows × 256 tokens. Oracle: quant.Matrix.Dequantize times x.
//
// Two warpgroups have 64 rows each, a warp one row tile, and their sums in registers, 128 a thread. A thread of each warp of the
// third, which lends the others its registers, copies: x and codes of 64 features are a stage, 36 KiB with four bits, up to
// six on their way. A lane's 16 bytes of codes are its share of A fragments, for wgmma as for mma.sync, so they are decoded into
// registers and x alone is read as a matrix. A warpgroup decodes a stage while its products of the one before run, 512 cycles
// of the tensor cores, and starts the new ones before it waits for those: there is always work queued. With four bits
// L2 gives 2/128 + 0.5/256 bytes a multiplication: at 475 TFLOP/s 4.2 TB/s.
//
// Scales multiply while decoding, with one rounding; the one scale of a first source without groups waits for the end.
#pragma once
#include "finish_hopper.cuh"
#include "hopper.cuh"

constexpr u32 CONSUMERS = LINEAR_WARPS * 32, STAGE_FEATURES = 64, STAGE_STEPS = STAGE_FEATURES / 16;
constexpr u32 COPIERS = 4, COPIER_TILES = PG_PREFILL_TILES / COPIERS;
static_assert(PG_HOPPER_THREADS == CONSUMERS + 32 * COPIERS, "the third warpgroup copies");
// Registers of a thread: 384 threads have 168 each.
constexpr u32 CONSUMER_REGISTERS = 232, COPIER_REGISTERS = 40;
static_assert(PG_PREFILL_TILES == LINEAR_WARPS, "a warp has one row tile");

// How a format's codes come. Those of a K tile that is longer than a stage come with its first.
template <class F> struct stages_of {
  static constexpr u32 tiles = F::features < STAGE_FEATURES ? STAGE_FEATURES / F::features : 1; // that come at once
  static constexpr u32 lasting = F::features > STAGE_FEATURES ? F::features / STAGE_FEATURES : 1; // stages of one
  static constexpr u32 tile_bytes = F::vectors * 512, row_bytes = tiles * tile_bytes;
  static constexpr u32 x_bytes = PG_HOPPER_TOKENS * STAGE_FEATURES * 2, code_bytes = PG_PREFILL_TILES * row_bytes;

  // With n stages, the oldest that is still read began so many K tiles before the one that is copied.
  static constexpr u32 code_slots_of(u32 n) { return (n - 1 + lasting - 1) / lasting + 1; }
  static constexpr u32 bytes_of(u32 n) { return n * (x_bytes + 2 * 8) + code_slots_of(n) * code_bytes; }
  static constexpr u32 most(u32 n) { return bytes_of(n) <= PG_HOPPER_SHARED ? n : most(n - 1); }
  static constexpr u32 count = most(6), code_slots = code_slots_of(count);
  static_assert(count >= 3 && count * x_bytes + code_slots * code_bytes >= HOPPER_SUMS * 4, "the sums lie where the stages were");

  DEVICE u32 of(const pg_matrix &w) { return (w.k_tiles * (F::features / 32) + 1) / 2; }
};

// The ring of stages: x [count][groups of 8 tokens][8][8][8 features] f16, codes [code_slots][row tiles][tiles][vectors][32], then
// two barriers a stage. Stage n of all sources' stages is in slot n % count; full: it has come, empty: nobody reads it any more.
template <class F> struct stage_ring {
  typedef stages_of<F> S;
  Shared<u8> memory;
  PEREGRINE_DEVICE Shared<u8> x(u32 n) const { return memory + n % S::count * S::x_bytes; }
  PEREGRINE_DEVICE Shared<u8> codes(u32 n) const {
    return memory + (S::count * S::x_bytes + n / S::lasting % S::code_slots * S::code_bytes);
  }
  PEREGRINE_DEVICE barrier *full(u32 n) const {
    return reinterpret_cast<barrier *>(memory + (S::count * S::x_bytes + S::code_slots * S::code_bytes)) + n % S::count;
  }
  PEREGRINE_DEVICE barrier *empty(u32 n) const { return full(n) + S::count; }
  static PEREGRINE_DEVICE u32 parity(u32 n) { return n / S::count % 2; }
};

// feed copies a copier's part of all stages of a block: codes of its row tiles, of the block's from `tile` on, `tiles` of them; the
// first copier also x of the token groups from `group` on, `groups` of them. Nine copies of one thread,
// a dozen dependent instructions each, would take about as long as a stage's products.
template <class F>
DEVICE void feed(const pg_segment &s, const stage_ring<F> &ring, u32 copier, u32 tile, u32 tiles, u32 group, u32 groups) {
  typedef stages_of<F> S;
  const u32 mine = min(copier * COPIER_TILES, tiles), end = min(mine + COPIER_TILES, tiles);
  const u32 x_bytes = copier == 0 ? groups * 1024 : 0;
  u32 n = 0;
  for (u32 source = 0; source < s.sources; source++) {
    const pg_matrix &w = s.source[source].w;
    Global<const u8> x = global<const u8>(s.source[source].x) + group * 1024, codes = global<const u8>(w.codes);
    u32 stages = S::of(w);
    for (u32 i = 0; i < stages; i++, n++) {
      barrier *full = ring.full(n);
      barrier_wait(ring.empty(n), ring.parity(n) ^ 1);
      u32 k_tile = i / S::lasting * S::tiles;
      u32 bytes = i % S::lasting ? 0 : min(S::tiles, w.k_tiles - k_tile) * S::tile_bytes;
      if (x_bytes) bulk_copy(ring.x(n), x + u64(i) * (PG_TOKENS / 8 * 1024), x_bytes, full);
      for (u32 r = mine; bytes && r < end; r++)
        bulk_copy(ring.codes(n) + r * S::row_bytes, codes + (u64(tile + r) * w.k_tiles + k_tile) * S::tile_bytes, bytes, full);
      barrier_expect(full, x_bytes + (end - mine) * bytes);
    }
  }
}

// What decoding needs of the groups that the two halves of a stage are in, and what was loaded for those of the next stage.
template <class F> struct stage_grid {
  typename F::levels levels[2];
  u32 scale[2][2]; // f16, twice
  grid_entry next[2];
};

template <class F> DEVICE void load_grid(stage_grid<F> &g, const pg_matrix &w, u32 tile, u32 stage) {
  UNROLL for (u32 p = 0; p < 2; p++) g.next[p] = load_entry<F>(w, tile, (STAGE_STEPS * stage + 2 * p) / w.group_steps);
}

template <class F> DEVICE void enter_grid(stage_grid<F> &g, const pg_matrix &w) {
  UNROLL for (u32 p = 0; p < 2; p++) {
    g.levels[p] = F::make_levels(g.next[p]);
    UNROLL for (u32 i = 0; i < 2; i++) g.scale[p][i] = twice_f16(clamp_f16(scale_value(w, g.next[p].scale[i])));
  }
}

typedef u32 stage_weights[STAGE_STEPS][4];

// decode_stage makes the A fragments of a warp's row tile from a stage's codes. deferred: without scales.
template <class F>
DEVICE void decode_stage(Shared<const u8> codes, const pg_matrix &w, u32 stage, const stage_grid<F> &g, bool deferred, stage_weights &a) {
  typedef stages_of<F> S;
  Shared<const u32x4> from = cast<const u32x4>(codes + warp_id() * S::row_bytes) + lane_id();
  UNROLL for (u32 part = 0; part < S::lasting; part++) {
    if (part != stage % S::lasting) continue;
    UNROLL for (u32 t = 0; t < S::tiles; t++) {
      u32x4 v[F::vectors];
      bool there = S::tiles == 1 || stage * S::tiles + t < w.k_tiles;
      UNROLL for (u32 i = 0; i < F::vectors; i++) {
        v[i] = {0, 0, 0, 0};
        if (there) v[i] = load16(from + (t * F::vectors + i) * 32);
      }
      constexpr u32 Steps = STAGE_STEPS / S::tiles;
      UNROLL for (u32 s = 0; s < Steps; s++) {
        const u32 h = t * Steps + s;
        F::decode(v, part * STAGE_STEPS + s, g.levels[h / 2], a[h]);
        if constexpr (F::kind == INTEGERS)
          if (!deferred) UNROLL for (u32 i = 0; i < 4; i++) a[h][i] = mul_f16x2(a[h][i], g.scale[h / 2][i % 2]);
      }
    }
  }
  // Here, not behind the wait for the products that run meanwhile.
  UNROLL for (u32 h = 0; h < STAGE_STEPS; h++) asm volatile("" : "+r"(a[h][0]), "+r"(a[h][1]), "+r"(a[h][2]), "+r"(a[h][3]));
}

// A warp's way through the stages of a source: the next is stage i, stage n of the ring.
template <class F> struct stage_walk {
  stage_grid<F> grid;
  u32 i, n;
};

// start_stage decodes the next stage and starts its products.
template <class F, u32 N>
DEVICE void start_stage(stage_walk<F> &at, const pg_matrix &w, const stage_ring<F> &ring, u32 tile, bool deferred, float (&sum)[N]) {
  stage_weights a;
  if constexpr (F::kind != DENSE)
    if (at.i > 0 && w.groups > 1) {
      enter_grid(at.grid, w);
      load_grid(at.grid, w, tile, at.i + 1);
    }
  barrier_wait(ring.full(at.n), ring.parity(at.n));
  decode_stage<F>(ring.codes(at.n), w, at.i, at.grid, deferred, a);
  const u64 x = matrix_at(ring.x(at.n), 128, 1024);
  product_fence();
  UNROLL for (u32 h = 0; h < STAGE_STEPS; h++) product(sum, a[h], x + h * (256 >> 4));
  product_commit();
  at.i++, at.n++;
}

// give_back lets the copiers write over stage n. Every lane says it, when the warp's products of the stage are over and it has read
// its codes: quicker than one that waits for the others, and compute-sanitizer understands it.
template <class F> DEVICE void give_back(const stage_ring<F> &ring, u32 n) {
  barrier_arrive(ring.empty(n));
}

// end_stage waits for the products of all stages but the latest, and gives the slot of the stage before that back.
template <class F> DEVICE void end_stage(const stage_walk<F> &at, const stage_ring<F> &ring) {
  product_wait<1>();
  if (at.i >= 2) give_back(ring, at.n - 2);
}

// add_source adds one source's products to the sums of a warp with row tile `tile`; its first stage is stage n of the ring.
// A stage is decoded while the products of the one before run, whose weights are still being read: the loop has two stages,
// so that each has its own registers.
template <class F, u32 N>
DEVICE void add_source(const pg_matrix &w, const stage_ring<F> &ring, u32 tile, u32 n, bool deferred, float (&sum)[N]) {
  const u32 stages = stages_of<F>::of(w);
  stage_walk<F> at;
  at.i = 0, at.n = n;
  if constexpr (F::kind != DENSE) {
    load_grid(at.grid, w, tile, 0);
    enter_grid(at.grid, w);
    load_grid(at.grid, w, tile, 1);
  }
  while (at.i < stages) {
    start_stage(at, w, ring, tile, deferred, sum);
    end_stage(at, ring);
    if (at.i == stages) break;
    start_stage(at, w, ring, tile, deferred, sum);
    end_stage(at, ring);
  }
  product_wait<0>();
  give_back(ring, at.n - 1);
}

// multiply_block computes a block's sums for Tokens tokens and leaves them in shared memory.
template <class F, u32 Tokens> DEVICE void multiply_block(const pg_segment &s, const stage_ring<F> &ring, u32 tile) {
  float sum[Tokens / 2] = {};
  u32 n = 0;
  tile = min(tile + warp_id(), s.tiles - 1); // rows behind the last tile are computed of anything, and dropped
  for (u32 i = 0; i < s.sources; i++) {
    const pg_matrix &w = s.source[i].w;
    bool deferred = i == 0 && w.groups == 1 && F::kind == INTEGERS;
    add_source<F>(w, ring, tile, n, deferred, sum);
    n += stages_of<F>::of(w);
    if constexpr (F::kind == INTEGERS)
      if (deferred) {
        grid_entry e = load_entry<F>(w, tile, 0);
        UNROLL for (u32 j = 0; j < Tokens / 2; j++) sum[j] *= scale_value(w, e.scale[j / 2 % 2]);
      }
  }
  sync_threads<1, CONSUMERS>(); // nobody reads stages any more
  Shared<float> to = reinterpret_cast<float *>(ring.memory) + (warp_id() * 16 + lane_id() / 4);
  UNROLL for (u32 j = 0; j < Tokens / 2; j++) to[(j / 4 * 8 + lane_id() % 4 * 2 + j % 2) * HOPPER_STRIDE + j / 2 % 2 * 8] = sum[j];
  sync_threads<1, CONSUMERS>();
}

template <class F> DEVICE void linear_prefill_hopper(const pg_linear_args &a) {
  DYNAMIC_SHARED(u8, memory);
  const stage_ring<F> ring = {memory};
  linear_block b = find_block(a, block_x(), PG_PREFILL_TILES);
  const pg_segment &s = a.segment[b.segment];
  const u32 first = block_y() * PG_HOPPER_TOKENS, tokens = min(a.tokens - first, u32(PG_HOPPER_TOKENS));
  if (thread_x() == 0) {
    for (u32 n = 0; n < stages_of<F>::count; n++) {
      barrier_init(ring.full(n), COPIERS);
      barrier_init(ring.empty(n), CONSUMERS);
    }
    publish_barriers();
  }
  sync_block();
  if (warp_id() >= LINEAR_WARPS) {
    give_registers<COPIER_REGISTERS>();
    const u32 tiles = min(s.tiles - b.tile, u32(PG_PREFILL_TILES));
    if (lane_id() == 0) feed<F>(s, ring, warp_id() - LINEAR_WARPS, b.tile, tiles, first / 8, (tokens + 7) / 8);
    return;
  }
  take_registers<CONSUMER_REGISTERS>();
  if (tokens <= 64)
    multiply_block<F, 64>(s, ring, b.tile);
  else if (tokens <= 128)
    multiply_block<F, 128>(s, ring, b.tile);
  else
    multiply_block<F, 256>(s, ring, b.tile);
  finish_hopper(s, b.tile, first, tokens, reinterpret_cast<const float *>(memory));
}
