// The half of wgmma.cuh that feeds: which tiles a block makes, where things lie in its shared memory, the ring of
// stages and the sums of squares.

#pragma once

#include "kernels_templates/device/cluster.cuh"
#include "kernels_templates/device/format.cuh"
#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/reduce.cuh"
#include "kernels_templates/device/tma.cuh"
#include "kernels_templates/device/vector.cuh"
#include "kernels_templates/product/wgmma_layout.h"

struct WgmmaTile {
  int token, feature; // the first of each
};

template <typename T, int K, int N, int tileM, int tileN, int stages, int split, int share, bool norm>
struct WgmmaBlock {
  using Layout = kernels::WgmmaLayout;
  static constexpr Layout layout = Layout(tileM, tileN, stages, split, norm);
  static constexpr int warpgroups = tileN / 64, consumers = 128 * warpgroups, cluster = split * share;
  static constexpr int octets = tileM / 8, owned = layout.owned;
  static constexpr int stageBytes = layout.stageBytes;
  static constexpr int depth = Layout::row / static_cast<int>(sizeof(T));  // of K, in a stage
  static constexpr int steps = (K + depth - 1) / depth;                    // of K, a stage each
  static constexpr int across = (N + tileN * share - 1) / (tileN * share); // clusters' widths in a row of y

  const TensorMap *xMap, *wMap;
  int M;

  unsigned char *ring; // stages of [tileN rows of w][tileM rows of x]
  float *staging, *receive, *squares;
  // Of the ring; of what other blocks send to this one; of this block's squares; and of the cluster's consumers, who
  // all have read what was sent and the squares: the next tile's may come. No warp is overtaken by a second phase of
  // `read` before it has seen the first, since its own block's consumers arrive there too, only then.
  Barrier *full, *empty, *received, *squared, *read;

  int rank, firstStep, endStep;     // in the cluster, and this block's part of K
  int tilesM, first, stride, count; // units of the cluster: first, first + stride, ... below count

  __device__ WgmmaBlock(const Grid &grid, unsigned char *shared, const TensorMap *xMap, const TensorMap *wMap, int M)
      : xMap(xMap), wMap(wMap), M(M), ring(shared) {
    staging = reinterpret_cast<float *>(shared + layout.staging);
    receive = reinterpret_cast<float *>(shared + layout.receive);
    squares = reinterpret_cast<float *>(shared + layout.squares);
    full = reinterpret_cast<Barrier *>(shared + layout.barriers);
    empty = full + stages;
    received = empty + stages;
    squared = received + 1;
    read = received + 2;
    rank = static_cast<int>(grid.block) % cluster;
    firstStep = split == 1 ? 0 : steps * rank / split;
    endStep = split == 1 ? steps : steps * (rank + 1) / split;
    tilesM = (M + tileM - 1) / tileM;
    first = static_cast<int>(grid.block) / cluster;
    stride = static_cast<int>(grid.blocks) / cluster;
    count = tilesM * across;
  }

  // Units in bands of 2,048 tokens, in a band token tiles first: blocks that run at a time then read some 2,048 tokens
  // and as many features, about a square of outputs, which is the least that they can read together; and each weight
  // comes from memory once a band.
  __device__ WgmmaTile tileOf(int unit) const {
    constexpr int height = 2048 / tileM;
    const int band = unit / (height * across), inside = unit - band * (height * across);
    const int rows = least(height, tilesM - band * height);
    return {(band * height + inside % rows) * tileM, (inside / rows * share + (share > 1 ? rank : 0)) * tileN};
  }

  struct Slot { // of the ring, in the order of use
    int stage = 0;
    unsigned parity = 0;
    __device__ void advance() {
      if (++stage == stages) {
        stage = 0;
        parity ^= 1;
      }
    }
  };
  __device__ unsigned char *weightsOf(int stage) const { return ring + stage * stageBytes; }
  __device__ unsigned char *tokensOf(int stage) const { return ring + stage * stageBytes + tileN * Layout::row; }

  __device__ void initBarriers() const {
    for (int i = 0; i < stages; ++i) {
      initBarrier(full + i, 1);
      initBarrier(empty + i, (4 * warpgroups + (norm ? 3 : 0)) * share); // a lane of every warp that reads
    }
    initBarrier(received, 1);
    initBarrier(squared, 3);
    initBarrier(read, 4 * warpgroups * cluster);
    publishBarriers();
  }

  // ---- thread 0

  // Whether so few tiles of tokens read a weight that they do so at about the same time, as in a step, and nothing
  // reads it again soon.
  __device__ bool readsOnce() const { return M <= 128; }

  template <bool once> __device__ void fetchWeights(int stage, int unit, int step) const {
    arriveExpect(full + stage, stageBytes); // the stage's tokens as well
    if constexpr (once)
      copyTileOnce(weightsOf(stage), wMap, full + stage, step * depth, tileOf(unit).feature);
    else
      copyTile(weightsOf(stage), wMap, full + stage, step * depth, tileOf(unit).feature);
  }
  __device__ void fetchTokens(int stage, int unit, int step) const {
    const int token = tileOf(unit).token;
    if constexpr (share > 1) { // each block its part, to all
      constexpr int part = tileM / share;
      copyTileToAll(tokensOf(stage) + rank * part * Layout::row, xMap, full + stage, step * depth, token + rank * part,
                    (1 << share) - 1);
    } else {
      copyTile(tokensOf(stage), xMap, full + stage, step * depth, token);
    }
  }

  // Before the wait. Stages are left to fill only if there are fewer steps; returns how many were filled.
  __device__ int fetchFirstWeights() const { return readsOnce() ? fetchFirst<true>() : fetchFirst<false>(); }
  template <bool once> __device__ int fetchFirst() const {
    int filled = 0;
#pragma unroll 1
    for (int unit = first; unit < count; unit += stride)
#pragma unroll 1
      for (int step = firstStep; step < endStep; ++step) {
        if (filled == stages)
          return filled;
        fetchWeights<once>(filled++, unit, step);
      }
    return filled;
  }

  __device__ void feed(int filled) const {
    if (readsOnce())
      feedAll<true>(filled);
    else
      feedAll<false>(filled);
  }
  template <bool once> __device__ void feedAll(int filled) const {
    Slot slot;
#pragma unroll 1
    for (int unit = first; unit < count; unit += stride)
#pragma unroll 1
      for (int step = firstStep; step < endStep; ++step, slot.advance()) {
        if (--filled < 0) {
          await(empty + slot.stage, slot.parity ^ 1);
          fetchWeights<once>(slot.stage, unit, step);
        }
        fetchTokens(slot.stage, unit, step);
      }
    // Nobody reaches into a block that is gone: this one stays until the others' arrivals are in, their last accesses.
    if (share > 1)
      for (int i = 0; i < stages; ++i, slot.advance())
        await(empty + slot.stage, slot.parity ^ 1);
  }

  // This warp no longer reads the stage.
  __device__ void release(int stage, int lane) const {
    if (share > 1) {
      if (lane < share)
        arriveAt(empty + stage, lane);
    } else if (lane == 0) {
      arrive(empty + stage);
    }
  }

  // ---- warps 1 to 3

  // Adds the squares of a stage's tokens first, first + 12, ...: 8 lanes a token, 16 bytes each; which 16 of a row's
  // 128 a lane has, the swizzle varies by p ^ (row % 8), and a butterfly over 8 lanes is blind to that.
  template <int held> __device__ void addSquares(float (&sums)[held], const unsigned char *tokens, int first) const {
    constexpr int rows = tileM / share, batch = 6;
    tokens += threadIdx.x % 8 * 16;
#pragma unroll
    for (int start = 0; start < held; start += batch) {
      uint4 pieces[batch];
#pragma unroll
      for (int i = start; i < held && i < start + batch; ++i) // beyond the end a token twice, for nobody: no branch
        pieces[i - start] = *reinterpret_cast<const uint4 *>(
            tokens + (i * 12 + 12 <= rows ? i * 12 + first : least(i * 12 + first, rows - 1)) * Layout::row);
      __syncwarp(); // keeps the loads together: one at a time, each waited for, would take longer than the products
#pragma unroll
      for (int i = start; i < held && i < start + batch; ++i)
        sums[i] += Format<T>::squares(pieces[i - start]);
    }
  }

  // Sums of squares of the tile's tokens; without a split they become scales, which the next tile has as well if it is
  // of the same tokens. Blocks that share tokens each do a part, for all.
  __device__ void sumSquares(int warp, int lane) const {
    constexpr int rows = tileM / share, held = (rows + 11) / 12;
    const int firstRow = share > 1 ? rank * rows : 0;
    Slot slot;
    unsigned made = 0;
    int token = -1;
#pragma unroll 1
    for (int unit = first; unit < count; unit += stride, ++made) {
      const bool known = split == 1 && tileOf(unit).token == token;
      token = tileOf(unit).token;
      int mine = (warp - 1) * 4 + lane / 8;
      float sums[held] = {};
#pragma unroll 1
      for (int step = firstStep; step < endStep; ++step, slot.advance()) {
        await(full + slot.stage, slot.parity);
        if (!known)
          addSquares(sums, tokensOf(slot.stage) + firstRow * Layout::row, mine);
        __syncwarp();
        release(slot.stage, lane);
      }
      if (made > 0)
        await(read, (made - 1) & 1);
      asm volatile("" : "+r"(mine)); // or all places below are worked out ahead, in more registers than there are
#pragma unroll
      for (int i = 0; i < held && !known; ++i) {
        const float sum = groupSum<8>(sums[i]);
        const int row = i * 12 + mine, octet = row / 8;
        if (row >= rows || lane % 8 >= share)
          continue;
        if (split == 1)
          clusterStore<share>(squares + firstRow + row, lane % 8, normScale(sum, K), squared);
        else if (float *to = squares + (rank * owned + octet / split) * 8 + row % 8; octet % split != rank)
          clusterStore<split>(to, octet % split, sum, received);
        else
          *to = sum;
      }
      __syncwarp();
      if (lane == 0) {
        if (share > 1 && !known && warp == 1)
          arriveExpect(squared, tileM * 4);
        else
          arrive(squared);
      }
    }
  }
};
