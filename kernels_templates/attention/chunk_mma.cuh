// Attention of a chunk (for scale > 0; chunk_simt.cuh says what it computes) in bf16 on the tensor cores of every
// target (mma m16n8k16), by the tiles of FlashAttention-2 (Dao 2023, arXiv:2307.08691). A block has tile_q neighbouring
// token slots of one head, each warp 16 of them, and walks over tiles of tile_k keys. Per tile a warp has scores S = Q
// K^T, weights P = 2^(S - the row's top so far) in bf16, which are operands as they lie in registers, and out = out *
// shrink + P V, sums in f32. Which tiles of keys there are, in which order, and what a query sees of them:
// chunk_keys.cuh; nothing else decides the order of a sum. Heads that share a kv head are neighbouring blocks, and
// blocks of a prompt's last queries come first.
//
// Memory: `stages` tiles of keys and as many of values lie in shared memory, copied 16 bytes at a time by all threads.
// The next keys are under way while weights are multiplied by values, the next values while scores are computed. As in
// chunk_keys.cuh, values of slots that hold no key of anybody become zeros there, by when a weight of 0 may meet
// them.

#pragma once

#include "kernels_templates/attention/chunk_keys.cuh"
#include "kernels_templates/attention/chunk_mma_layout.h"
#include "kernels_templates/device/copy.cuh"
#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/mbarrier.cuh"
#include "kernels_templates/device/mma.cuh"
#include "kernels_templates/device/reduce.cuh"
#include "kernels_templates/device/types.cuh"

// Rows of a tile are whole 128 bytes, whose 16-byte pieces are permuted by the row, or an odd number of pieces apart:
// so neither the copies nor ldmatrix meet bank conflicts.
template <int D, bool permuted, int rowBytes> struct ChunkMmaRow {
  static constexpr int pieces = D / 8, bytes = rowBytes;
  static __device__ unsigned piece(int row, int i) { return row * bytes + (permuted ? i ^ (row & 7) : i) * 16; }
  // From the address of a row's piece 0 or 1, that of the piece `i` on, an even number; it costs fewer registers.
  static __device__ unsigned along(unsigned address, int i) {
    return permuted ? (address ^ i * 16 % 128) + i * 16 / 128 * 128 : address + i * 16;
  }
};

// A tile of keys; no query sees a slot before `until`, or a position before `oldest`, of this tile's row.
struct __align__(16) ChunkMmaTile {
  KeyTile keys;
  int until, oldest;
};
// What the mask needs of a QueryReach.
struct ChunkMmaReach {
  int row, oldest, low;
};

static_assert(sizeof(ChunkMmaTile) == kernels::ChunkMmaLayout::tileRecord &&
              sizeof(ChunkMmaReach) == kernels::ChunkMmaLayout::reachRecord);

// The first warp's: how far the chunk and the rings are seen. Returns the first slot of the chunk that is.
template <int tileQ>
__device__ inline int chunkMmaLook(unsigned (&begins)[tileQ / 32], const int *rows, const int *positions,
                                   const int *starts, int window, int n, int firstQuery) {
  const int lane = threadIdx.x % 32;
  int low = min(firstQuery + tileQ, n) - 1, row = -1; // of the query before
#pragma unroll
  for (int i = 0; i < tileQ / 32; ++i) {
    const QueryReach reach = reachOf(rows, positions, starts, window, n, firstQuery + i * 32 + lane);
    const int last = __shfl_sync(0xffffffffu, reach.row, 31), before = __shfl_up_sync(0xffffffffu, reach.row, 1);
    const bool first = reach.row != (lane == 0 ? row : before); // of its row, so that it reaches furthest
    const unsigned bits = __ballot_sync(0xffffffffu, reach.row >= 0 && first && reach.oldest < reach.start);
    if (lane == 0)
      begins[i] = bits;
    if (reach.row >= 0)
      low = min(low, reach.low);
    row = last;
  }
  return __reduce_min_sync(0xffffffffu, low);
}

// One thread's: the tile behind this one.
template <int ring, int tileQ, int tileK>
__device__ inline ChunkMmaTile chunkMmaNext(ChunkMmaTile tile, unsigned (&begins)[tileQ / 32], const int *rows,
                                            const int *positions, const int *starts, int window, int n,
                                            int firstQuery) {
  KeyTile &keys = tile.keys;
  if (keys.row == noMoreTiles)
    return tile;
  if (keys.first > tile.until) {
    keys.first -= tileK;
    return tile;
  }
  if (keys.row != inChunk && tile.oldest < keys.shift) { // the older piece of the ring
    keys.end = ring - 1;
    keys.shift -= ring;
  } else {
    int query = -1;
#pragma unroll
    for (int i = 0; i < tileQ / 32; ++i)
      if (const unsigned left = begins[i]; query < 0 && left != 0) {
        query = i * 32 + __ffs(static_cast<int>(left)) - 1;
        begins[i] = left & (left - 1);
      }
    if (query < 0) {
      keys.row = noMoreTiles;
      return tile;
    }
    const QueryReach reach = reachOf(rows, positions, starts, window, n, firstQuery + query);
    tile.oldest = reach.oldest;
    keys.row = reach.row;
    keys.end = (reach.start - 1) % ring;
    keys.shift = reach.start - 1 - keys.end;
  }
  keys.first = keys.end + 1 - tileK;
  tile.until = max(0, tile.oldest - keys.shift);
  return tile;
}

// Engine `mma`: P has T, heads, kv_heads, D, ring, tile_q, tile_k and stages.
template <typename P, typename Args>
__device__ inline void chunkMma(const Grid &grid, unsigned char *shared, const Args &a) {
  using T = typename P::T;
  constexpr int heads = P::heads, kv_heads = P::kv_heads, D = P::D, ring = P::ring;
  constexpr int tile_q = P::tile_q, tile_k = P::tile_k, stages = P::stages;
  constexpr kernels::ChunkMmaLayout layout(D, tile_q, tile_k, stages);
  using Row = ChunkMmaRow<D, layout.permuted, layout.rowBytes>;
  constexpr int own = layout.own, warps = layout.warps;
  constexpr int share = tile_k / warps; // keys of a tile that a warp copies
  constexpr int tileBytes = layout.tileBytes, places = layout.places;
  ChunkMmaTile *tiles = reinterpret_cast<ChunkMmaTile *>(shared + layout.tiles);
  ChunkMmaReach *reaches = reinterpret_cast<ChunkMmaReach *>(shared + layout.reach); // a warp's own
  // Bits: the first queries of rows whose rings have not been visited.
  auto &begins = *reinterpret_cast<unsigned(*)[tile_q / 32]>(shared + layout.begins);
  const T *q = a.q, *k = a.k, *v = a.v, *kv = a.kv;
  const int *rows = a.rows, *positions = a.positions, *starts = a.starts;
  T *y = a.y;
  const int window = a.window, n = a.n;
  const float scale = a.scale;
  if (n == 0)
    return;

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const ChunkItem<heads, tile_q> item(grid.block, n);
  const int g = item.head / (heads / kv_heads);
  const unsigned queries = sharedAddress(shared), keys = queries + layout.keys, values = queries + layout.values;

  // Key (part 0) or value (part 1) of a tile's slots, a warp's share; rows that are not `held`, a bit each, become
  // zeros.
  auto copy = [&](unsigned to, const ChunkMmaTile &tile, int part, unsigned held) {
    const bool chunk = tile.keys.row == inChunk;
    const T *from = chunk ? (part == 0 ? k : v) + g * D
                          : kv + ((static_cast<long long>(tile.keys.row) * 2 + part) * kv_heads + g) * ring * D;
    const int stride = chunk ? kv_heads * D : D;
#pragma unroll
    for (int base = 0; base < share * Row::pieces; base += 32) {
      const int i = base + lane, row = i / Row::pieces, piece = i % Row::pieces;
      if (share * Row::pieces % 32 != 0 && row >= share)
        break;
      const int slot = tile.keys.first + warp * share + row;
      const bool inside = slot >= tile.until && (held >> row & 1) != 0; // tiles end where their piece does
      copyOrZero(to + Row::piece(warp * share + row, piece),
                 inside ? from + static_cast<long long>(slot) * stride + piece * 8 : from, inside);
    }
  };
  int holder = 0; // the row that a slot of the share belongs to; it comes with the keys, and is needed for the values
  auto copyKeys = [&](int use, const ChunkMmaTile &tile) {
    if (tile.keys.row != noMoreTiles) {
      copy(keys + use % stages * tileBytes, tile, 0, ~0u); // what nobody sees is masked, whatever it is
      const int slot = tile.keys.first + warp * share + lane;
      holder = tile.keys.row == inChunk && lane < share && slot >= 0 ? rows[slot] : 0;
    }
    commitCopies();
  };
  auto copyValues = [&](int use) {
    const ChunkMmaTile tile = tiles[use % places];
    if (tile.keys.row != noMoreTiles)
      copy(values + use % stages * tileBytes, tile, 1, __ballot_sync(0xffffffffu, holder >= 0));
    commitCopies();
  };
  auto findNext = [&](int use) {
    tiles[(use + 1) % places] = chunkMmaNext<ring, tile_q, tile_k>(tiles[use % places], begins, rows, positions, starts,
                                                                   window, n, item.firstQuery);
  };

#pragma unroll
  for (int base = 0; base < own * Row::pieces; base += 32) { // a multiple of 32 in all
    const int row = warp * own + (base + lane) / Row::pieces, piece = (base + lane) % Row::pieces;
    const int slot = item.firstQuery + row;
    copyOrZero(queries + Row::piece(row, piece),
               slot < n ? q + (static_cast<long long>(slot) * heads + item.head) * D + piece * 8 : q, slot < n);
  }
  const int end = min(item.firstQuery + tile_q, n);
  ChunkMmaTile newest = {
      {end - tile_k, inChunk, 0, end - 1}, 0, 0}; // the first tile's keys wait for nothing that is read
  copyKeys(0, newest);
  if (warp == 0) {
    newest.until = chunkMmaLook<tile_q>(begins, rows, positions, starts, window, n, item.firstQuery);
    if (lane == 0) {
      tiles[0] = newest;
#pragma unroll
      for (int use = 1; use < stages; ++use)
        findNext(use - 1);
    }
  }
  if (lane < own) {
    const QueryReach reach = reachOf(rows, positions, starts, window, n, item.firstQuery + warp * own + lane);
    reaches[warp * own + lane] = {reach.row, reach.oldest, reach.low};
  }
  __syncwarp();
  if (stages > 1)
    __syncthreads();
#pragma unroll
  for (int use = 1; use < stages; ++use) {
    copyValues(use - 1);
    copyKeys(use, tiles[use]);
  }

  // A thread has parts of two of its warp's queries: columns 8 j + 2 (lane % 4) + {0, 1} of rows lane / 4 and 8 on.
  const float slope = scale * 1.44269504f; // scores to powers of two
  const int query = warp * own + lane / 4;
  float scores[tile_k / 8][4], out[D / 8][4] = {}, tops[2] = {-infinity(), -infinity()}, sums[2] = {};
  unsigned fragments[D / 16][4]; // the warp's queries

  auto score = [&](int use) {
    const unsigned tile = keys + use % stages * tileBytes + Row::piece(lane / 16 * 8 + lane % 8, lane / 8 % 2);
#pragma unroll
    for (int j = 0; j < tile_k / 8; ++j)
#pragma unroll
      for (int l = 0; l < 4; ++l)
        scores[j][l] = 0;
#pragma unroll
    for (int k16 = 0; k16 < D / 16; ++k16)
#pragma unroll
      for (int j = 0; j < tile_k / 16; ++j) {
        unsigned m[4];
        loadMatrices(m, Row::along(tile, k16 * 2) + j * 16 * Row::bytes);
        mmaBf16(scores[j * 2], fragments[k16], m[0], m[1]);
        mmaBf16(scores[j * 2 + 1], fragments[k16], m[2], m[3]);
      }
  };
  // The columns of a tile that a query sees, counted from `column` on.
  struct Bounds {
    int low, high;
  };
  auto boundsOf = [&](const KeyTile &tile, const ChunkMmaReach &reach, int query, int column) {
    const bool chunk = tile.row == inChunk;
    const int low = chunk ? reach.low : max(0, reach.oldest - tile.shift);
    const int inRing = tile.row == reach.row ? tile.end : -1, high = chunk ? item.firstQuery + query : inRing;
    return Bounds{low - tile.first - column, high - tile.first - column};
  };
  // Whether the warp's queries see some of a tile, and all of it from end to end, as they do of most.
  auto look = [&](const KeyTile &tile, bool &some, bool &whole) {
    some = false;
    whole = true;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const ChunkMmaReach reach = reaches[query + i * 8];
      const Bounds seen = boundsOf(tile, reach, query + i * 8, 0);
      some = some || (reach.row >= 0 && seen.low < tile_k && seen.high >= 0);
      whole = whole && (reach.row < 0 || (seen.low <= 0 && seen.high >= tile_k - 1));
    }
    some = __any_sync(0xffffffffu, some);
    whole = __all_sync(0xffffffffu, whole);
  };
  // Scores of invisible keys become -infinity.
  auto mask = [&](const KeyTile &tile) {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const Bounds seen = boundsOf(tile, reaches[query + i * 8], query + i * 8, lane % 4 * 2);
#pragma unroll
      for (int j = 0; j < tile_k / 8; ++j)
#pragma unroll
        for (int l = 0; l < 2; ++l)
          if (j * 8 + l < seen.low || j * 8 + l > seen.high)
            scores[j][i * 2 + l] = -infinity();
    }
  };
  // Scores become weights, relative to the rows' tops so far; what was summed before shrinks to the new tops.
  auto weigh = [&] {
    float shrink[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      float top = tops[i];
#pragma unroll
      for (int j = 0; j < tile_k / 8; ++j)
        top = fmaxf(top, fmaxf(scores[j][i * 2], scores[j][i * 2 + 1]));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
      const float from = top == -infinity() ? 0 : top; // no key yet: all weights are 2^-infinity
      shrink[i] = exp2Fast((tops[i] - from) * slope);
      tops[i] = top;
      const float base = from * slope;
      float sum = 0;
#pragma unroll
      for (int j = 0; j < tile_k / 8; ++j)
#pragma unroll
        for (int l = 0; l < 2; ++l) {
          float &weight = scores[j][i * 2 + l];
          weight = exp2Fast(weight * slope - base);
          sum += weight;
        }
      sums[i] = sums[i] * shrink[i] + sum;
    }
    if (__all_sync(0xffffffffu, shrink[0] == 1 && shrink[1] == 1)) // no new tops: the more keys, the more often
      return;
#pragma unroll
    for (int j = 0; j < D / 8; ++j)
#pragma unroll
      for (int l = 0; l < 4; ++l)
        out[j][l] *= shrink[l / 2];
  };
  // The sums' layout is that of operand A: 16 columns of S are 16 of k.
  auto addValues = [&](int use) {
    const unsigned tile = values + use % stages * tileBytes + Row::piece(lane % 16, lane / 16);
#pragma unroll
    for (int k16 = 0; k16 < tile_k / 16; ++k16) {
      unsigned weights[4];
#pragma unroll
      for (int part = 0; part < 4; ++part)
        weights[part] =
            packBf16(scores[k16 * 2 + part / 2][part % 2 * 2], scores[k16 * 2 + part / 2][part % 2 * 2 + 1]);
#pragma unroll
      for (int j = 0; j < D / 16; ++j) {
        unsigned m[4];
        loadTransposed(m, Row::along(tile, j * 2) + k16 * 16 * Row::bytes);
        mmaBf16(out[j * 2], weights, m[0], m[1]);
        mmaBf16(out[j * 2 + 1], weights, m[2], m[3]);
      }
    }
  };

  // Groups of copies in their order: keys, values, keys ... Of those that are under way, those of `stages` - 1 tiles
  // may stay so.
#pragma unroll 1
  for (int use = 0;; ++use) {
    waitForCopies<2 * (stages - 1)>();
    __syncthreads(); // the keys are there, and the values of the tile before are no longer read
    const KeyTile &tile = tiles[use % places].keys;
    if (tile.row == noMoreTiles)
      break;
    copyValues(use + stages - 1);
    if (threadIdx.x == 0)
      findNext(use + stages - 1);
    if (use == 0)
#pragma unroll
      for (int k16 = 0; k16 < D / 16; ++k16)
        loadMatrices(fragments[k16], Row::along(queries + Row::piece(warp * own + lane % 16, lane / 16), k16 * 2));
    bool some, whole;
    look(tile, some, whole);
    if (some)
      score(use);

    waitForCopies<2 * (stages - 1)>();
    __syncthreads(); // the values are there, and these keys are no longer read
    copyKeys(use + stages, tiles[(use + stages) % places]);
    if (!some)
      continue;
    if (!whole)
      mask(tile);
    weigh();
    addValues(use);
  }

  // Through the warp's own queries, which nobody reads any more, to stores of whole rows.
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float part = 1 / groupSum<4>(sums[i]);
    const bool padding = reaches[query + i * 8].row < 0;
#pragma unroll
    for (int j = 0; j < D / 8; ++j)
      *reinterpret_cast<unsigned *>(shared + Row::piece(query + i * 8, j) + lane % 4 * 4) =
          padding ? 0 : packBf16(out[j][i * 2] * part, out[j][i * 2 + 1] * part);
  }
  __syncwarp();
#pragma unroll
  for (int base = 0; base < own * Row::pieces; base += 32) {
    const int row = warp * own + (base + lane) / Row::pieces, piece = (base + lane) % Row::pieces;
    const int slot = item.firstQuery + row;
    if (slot < n)
      *reinterpret_cast<uint4 *>(y + (static_cast<long long>(slot) * heads + item.head) * D + piece * 8) =
          *reinterpret_cast<const uint4 *>(shared + Row::piece(row, piece));
  }
}
