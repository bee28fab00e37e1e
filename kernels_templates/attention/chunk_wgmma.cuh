// Attention of a chunk (for scale > 0; chunk_simt.cuh says what it computes) on Hopper's warpgroup products. An item is
// tile_q neighbouring token slots of one head, 64 for each consumer warpgroup of a block. For it a block walks over
// tiles of tile_k keys, which one producer warp copies to shared memory `stages` deep, keys and values apart. Per tile
// a consumer has scores S = Q K^T, weights P = 2^(S - the row's top so far) in bf16, and out = out * shrink + P V, sums
// in f32. The scores of the next tile are computed while the weights of this one are multiplied by its values, and that
// tile may be the first of the next item; consumers take turns in issuing products, so that one's exponentials run
// under the other's products. At most `blocks` blocks share the items: each has its first one by its number, and draws
// further ones by ticket. Which tiles of keys there are, what a query sees of them and what must not reach a product:
// chunk_keys.cuh.

#pragma once

#include "kernels_templates/attention/chunk_keys.cuh"
#include "kernels_templates/attention/chunk_wgmma_producer.cuh"
#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/matrix.cuh"
#include "kernels_templates/device/mbarrier.cuh"
#include "kernels_templates/device/mma.cuh"
#include "kernels_templates/device/reduce.cuh"
#include "kernels_templates/device/tma.cuh"
#include "kernels_templates/device/types.cuh"
#include "kernels_templates/device/wgmma.cuh"

// The descriptor of a piece: 8 rows are 8 * rowBytes; `next` bytes to the next piece of columns where they are N.
template <int rowBytes> __device__ inline Matrix chunkMatrix(const void *piece, int next) {
  constexpr Matrix eightRows = 8 * rowBytes / 16, swizzle = rowBytes == 128 ? 1 : 2;
  return static_cast<Matrix>((sharedAddress(piece) & 0x3ffff) >> 4) | static_cast<Matrix>(next >> 4) << 16 |
         eightRows << 32 | swizzle << 62;
}

// A consumer warpgroup: 64 queries, those from `group` * 64 on, of every item.
template <int heads, int D, int tileQ, int tileK, int stages>
__device__ inline void chunkWgmmaConsume(const Grid &grid, const ChunkWgmmaShared<D, tileQ, tileK, stages> &shared,
                                         const int *rows, const int *positions, const int *starts, bf16 *y, int window,
                                         float scale, int n, int group) {
  constexpr auto layout = ChunkWgmmaShared<D, tileQ, tileK, stages>::layout;
  constexpr int groups = layout.groups, rowBytes = layout.rowBytes, width = layout.width;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
  const Matrix queries = chunkMatrix<rowBytes>(shared.queries(0) + group * 64 * rowBytes, 16);
  const Matrix keys = chunkMatrix<rowBytes>(shared.keys(0), 16);
  const Matrix values = chunkMatrix<rowBytes>(shared.values(0), layout.keyPiece);
  const float slope = scale * 1.44269504f; // scores to powers of two

  // A thread has parts of two rows: columns 8 j + 2 (lane % 4) + {0, 1} of row lane / 4 and of the 8th after it.
  const int row = group * 64 + warp * 16 + lane / 4;
  int round = 0, item = grid.block;
  int slot = ChunkItem<heads, tileQ>(item, n).firstQuery + row; // of the first of the two rows
  QueryReach reach[2] = {reachOf(rows, positions, starts, window, n, slot),
                         reachOf(rows, positions, starts, window, n, slot + 8)};
  float scores[tileK / 2], out[D / 2] = {}, tops[2] = {-infinity(), -infinity()}, sums[2] = {}, shrink[2];
  unsigned weights[tileK / 16][4] = {};
  defineSums(scores);

  auto startScores = [&](int use) {
    const Matrix own = queries + round % 2 * (layout.queryBytes / 16);
    const Matrix tile = keys + use % stages * (layout.tileBytes / 16);
    pinSums(scores);
    beginProducts();
#pragma unroll
    for (int k = 0; k < D; k += 16)
      multiplyBf16(scores, own + (k / width * layout.queryPiece + k % width * 2) / 16,
                   tile + (k / width * layout.keyPiece + k % width * 2) / 16, k > 0);
    endProducts();
  };
  auto startOut = [&](int use) {
    const Matrix tile = values + use % stages * (layout.tileBytes / 16);
    pinSums(out);
    beginProducts();
#pragma unroll
    for (int k = 0; k < tileK; k += 16)
      multiplyBf16<true>(out, weights[k / 16], tile + k * rowBytes / 16, true);
    endProducts();
  };
  auto release = [&](Barrier *barrier) {
    __syncwarp(); // all lanes have read what goes with the stage: its tile, whose it is, the queries' reach
    if (lane == 0)
      arrive(barrier);
  };

  // Scores of invisible keys become -infinity. Most tiles are seen by all 16 queries of a warp from end to end.
  auto mask = [&](const KeyTile &tile) {
    int low[2], high[2]; // the visible columns of the tile, as this thread counts them: from its own first one
    bool whole = true;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      low[i] = tile.row == inChunk ? reach[i].low : max(0, reach[i].oldest - tile.shift);
      high[i] = tile.row == inChunk ? slot + 8 * i : tile.row == reach[i].row ? tile.end : -1;
      whole = whole && (reach[i].row < 0 || (low[i] <= tile.first && high[i] >= tile.first + tileK - 1));
      low[i] -= tile.first + lane % 4 * 2;
      high[i] -= tile.first + lane % 4 * 2;
    }
    if (__all_sync(0xffffffffu, whole))
      return;
#pragma unroll
    for (int i = 0; i < 2; ++i)
#pragma unroll
      for (int j = 0; j < tileK / 8; ++j)
#pragma unroll
        for (int l = 0; l < 2; ++l)
          if (j * 8 + l < low[i] || j * 8 + l > high[i])
            scores[j * 4 + i * 2 + l] = -infinity();
  };
  // Scores become weights, relative to the rows' tops so far; what was summed before shrinks to the new tops.
  auto weigh = [&] {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      float top = tops[i];
#pragma unroll
      for (int j = 0; j < tileK / 8; ++j)
        top = fmaxf(top, fmaxf(scores[j * 4 + i * 2], scores[j * 4 + i * 2 + 1]));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
      top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
      const float base = top == -infinity() ? 0 : top * slope; // no key yet: all weights are 2^-infinity
      shrink[i] = exp2Fast(tops[i] * slope - base);
      tops[i] = top;
      float sum = 0;
#pragma unroll
      for (int j = 0; j < tileK / 8; ++j)
#pragma unroll
        for (int l = 0; l < 2; ++l) {
          float &score = scores[j * 4 + i * 2 + l];
          score = exp2Fast(score * slope - base);
          sum += score;
        }
      sums[i] = sums[i] * shrink[i] + sum;
    }
  };
  // The sums' layout is that of operand A: 16 columns of S are 16 of k.
  auto packWeights = [&] {
#pragma unroll
    for (int k = 0; k < tileK / 16; ++k)
#pragma unroll
      for (int part = 0; part < 4; ++part)
        weights[k][part] = packBf16(scores[k * 8 + part * 2], scores[k * 8 + part * 2 + 1]);
  };

  // The item whose first scores have been computed.
  auto enter = [&](int next) {
    item = next;
    await(shared.reachFull(round % 2), round / 2 & 1);
    slot = ChunkItem<heads, tileQ>(item, n).firstQuery + row;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      reach[i] = shared.reach(round % 2, row + 8 * i);
      tops[i] = -infinity();
      sums[i] = 0;
    }
  };
  // The item whose weights are summed: only the last products with values are still to be added.
  int done = 0;
  float share[2]; // 1 / the sum of a row's weights, 0 for padding
  auto leave = [&] {
    done = item;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const float sum = groupSum<4>(sums[i]);
      share[i] = reach[i].row >= 0 ? 1 / sum : 0;
    }
  };
  // The four lanes of a row exchange columns, so that each has 8 neighbours of every 32.
  auto store = [&] {
    const ChunkItem<heads, tileQ> it(done, n);
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int slot = it.firstQuery + row + 8 * i;
      const bool odd = lane & 1, high = lane & 2;
      bf16 *place = y + (static_cast<long long>(slot) * heads + it.head) * D + lane % 4 * 8;
#pragma unroll
      for (int j = 0; j < D / 8; j += 4) {
        unsigned word[4];
#pragma unroll
        for (int l = 0; l < 4; ++l)
          word[l] = share[i] != 0
                        ? packBf16(out[(j + l) * 4 + i * 2] * share[i], out[(j + l) * 4 + i * 2 + 1] * share[i])
                        : 0;
        // First in pairs of lanes, an odd lane giving up columns j and j + 2, then across the pairs.
        const unsigned a = __shfl_xor_sync(0xffffffffu, odd ? word[0] : word[1], 1);
        const unsigned b = __shfl_xor_sync(0xffffffffu, odd ? word[2] : word[3], 1);
        const unsigned front[2] = {odd ? a : word[0], odd ? word[1] : a};
        const unsigned back[2] = {odd ? b : word[2], odd ? word[3] : b};
        const unsigned c = __shfl_xor_sync(0xffffffffu, high ? front[0] : back[0], 2);
        const unsigned d = __shfl_xor_sync(0xffffffffu, high ? front[1] : back[1], 2);
        if (slot < n)
          *reinterpret_cast<uint4 *>(place + j * 8) =
              high ? make_uint4(c, d, back[0], back[1]) : make_uint4(front[0], front[1], c, d);
      }
    }
  };

  if (groups > 1 && group == groups - 1)
    passBarrier<256>(1); // the first turn is the first group's
  // Each pass ends with scores turned to weights, while the products with the weights before may still run: their end
  // is awaited at the head of the next pass, where the compiler cannot move it to before the exponentials. Where an
  // item begins, its first scores run beside the last products of the one before.
  bool begins = false, over = false;
  await(shared.queriesFull(0), 0);
#pragma unroll 1
  for (int use = 0;; ++use) {
    awaitProducts<0>();
    pinSums(out);
#pragma unroll
    for (int k = 0; k < tileK / 16; ++k)
#pragma unroll
      for (int part = 0; part < 4; ++part)
        asm volatile("" : "+r"(weights[k][part])::"memory"); // the products have read them until here
    if (use > 1)
      release(shared.valuesEmpty((use - 2) % stages));
    if (begins) {
      store();
      if (over)
        break;
#pragma unroll
      for (int j = 0; j < D / 2; ++j)
        out[j] = 0;
    }
    if (use > 0) {
#pragma unroll
      for (int j = 0; j < D / 2; ++j)
        out[j] *= shrink[j / 2 % 2];
      packWeights();
    }

    const int stage = use % stages, before = (use - 1) % stages;
    await(shared.keysFull(stage), use / stages & 1);
    const KeyTile tile = shared.tile(stage);
    const int whose = shared.item(stage);
    over = tile.row == noMoreTiles;
    begins = over || whose != item;
    if (over) {
      await(shared.valuesFull(before), (use - 1) / stages & 1);
      startOut(use - 1);
      leave();
      continue;
    }
    if (begins) {
      ++round;
      await(shared.queriesFull(round % 2), round / 2 & 1);
    }
    if (groups > 1)
      groupBarrier<256>(1 + group);
    startScores(use);
    if (use > 0) {
      await(shared.valuesFull(before), (use - 1) / stages & 1);
      startOut(use - 1);
    } else {
      beginProducts(); // a round of none, so that the scores are the last but one
      endProducts();
    }
    if (groups > 1)
      passBarrier<256>(1 + (group + 1) % groups);
    awaitProducts<1>();
    pinSums(scores);
    release(shared.keysEmpty(stage));
    if (begins) {
      leave();
      release(shared.queriesEmpty((round + 1) % 2));
      enter(whose);
    }
    mask(tile);
    weigh();
    pinSums(scores);
  }
  if (groups > 1 && group == 0)
    groupBarrier<256>(1); // takes the last turn, so that none is left over
}

// Engine `wgmma`: P has T, heads, kv_heads, D, ring, tile_q, tile_k, stages and blocks (which the host's grid obeys).
template <typename P, typename Args>
__device__ inline void chunkWgmma(const Grid &grid, unsigned char *memory, const Args &a) {
  constexpr int heads = P::heads, stages = P::stages;
  using Shared = ChunkWgmmaShared<P::D, P::tile_q, P::tile_k, stages>;
  constexpr int groups = Shared::layout.groups;
  // Registers of a thread: of 65,536 for one block of 384 threads, or for two of 256. The producer's are those that it
  // needs when it is timed.
  constexpr int producerRegisters = groups == 1 ? 56 : 72, consumerRegisters = groups == 1 ? 200 : 216;
  const Shared shared{memory};

  if (threadIdx.x == 0) {
    prefetchMap(a.q_map);
    prefetchMap(a.k_map);
    prefetchMap(a.v_map);
    prefetchMap(a.kv_map);
    for (int half = 0; half < 2; ++half) {
      initBarrier(shared.queriesFull(half), 1);
      initBarrier(shared.queriesEmpty(half), groups * 4); // a warp each
      initBarrier(shared.reachFull(half), 1);
    }
    initBarrier(shared.landed(), 1);
    shared.landings() = 0;
    for (int stage = 0; stage < stages; ++stage) {
      initBarrier(shared.keysFull(stage), 1);
      initBarrier(shared.valuesFull(stage), 1);
      initBarrier(shared.keysEmpty(stage), groups * 4);
      initBarrier(shared.valuesEmpty(stage), groups * 4);
    }
    publishBarriers();
  }
  __syncthreads();
  startConsumers();
  awaitProducers();
  if (a.n == 0)
    return;

  if (threadIdx.x < 128) {
    shrinkRegisters<producerRegisters>();
    if (threadIdx.x < 32)
      chunkWgmmaProduce<heads, P::kv_heads, P::ring>(grid, shared, a.rows, a.positions, a.starts, a.counters, a.window,
                                                     a.n, a.q_map, a.k_map, a.v_map, a.kv_map);
  } else {
    growRegisters<consumerRegisters>();
    const int group = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 128 - 1, 0);
    chunkWgmmaConsume<heads>(grid, shared, a.rows, a.positions, a.starts, a.y, a.window, a.scale, a.n, group);
  }
}
