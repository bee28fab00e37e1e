// Matrix times matrix, for prefill, scores and large batches: y[M, N] = epilogue(x[M, K] w[N, K]^T) by tiles of tileM x
// tileN outputs, a block each; neighbouring blocks share columns, so that w is read from memory once.
//
// bf16, and w of bf16 or e4m3: tensor cores (mma m16n8k16, f32 sums). 64 of K of both operands make a stage of shared
// memory, in rows of 128 bytes, or 64 of e4m3, whose 16-byte pieces are permuted by the row, so that neither the copies
// nor ldmatrix meet bank conflicts. An 8 x 8 matrix that ldmatrix takes for 16 bits has 16 of K of e4m3, of which a
// lane gets four neighbours: which k an operand's slot means is free as long as both agree, so x is read by such fours
// too. As many stages as 96 KiB hold (99 is the most of a block on some devices, half of an SM on the others) are in
// flight, those of w before the wait for the producers. Two rows of warps split the tile's rows, 2 or 4 columns of them
// its columns. Other types and K that no 16-byte piece divides: sums on the ordinary cores, 16 of K at a time. Every
// output is a sum in order of K, whatever the tile: a row's result does not depend on how many there are. The norm's
// sum of squares is taken from the tile of x as it passes, its four quarters (by k / 16 % 4) added in order.

#pragma once

#include "kernels_templates/device/copy.cuh"
#include "kernels_templates/device/format.cuh"
#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/mma.cuh"
#include "kernels_templates/device/reduce.cuh"
#include "kernels_templates/device/vector.cuh"
#include "kernels_templates/product/epilogue.cuh"
#include "kernels_templates/product/mma_layout.h"

// Where 16-byte piece `piece` of row `row` lies in a tile with rows of 128 bytes.
__device__ inline unsigned mmaPiece(int row, int piece) { return row * 128 + (piece ^ (row & 7)) * 16; }
// And in one with rows of 64.
__device__ inline unsigned mmaNarrowPiece(int row, int piece) { return row * 64 + (piece ^ (row >> 1 & 3)) * 16; }

// A thread's part of 64 of K of a tile's rows, from k on: a piece of every (threads / pieces)th row.
template <int K, int threads, typename T>
__device__ inline void mmaCopy(const T *from, int first, int end, int rows, int k, unsigned to) {
  constexpr int size = sizeof(T), pieces = 4 * size;
  const int piece = threadIdx.x % pieces;
  k += piece * (16 / size);
  for (int row = threadIdx.x / pieces; row < rows; row += threads / pieces) {
    const bool inside = first + row < end && (K % 64 == 0 || k < K);
    copyOrZero(to + (size == 1 ? mmaNarrowPiece(row, piece) : mmaPiece(row, piece)),
               inside ? from + static_cast<long long>(first + row) * K + k : from, inside);
  }
}

template <typename O, int K, int N, int tileM, int tileN, bool norm, typename W, typename E>
__device__ inline void mmaTensor(const Grid &grid, unsigned char *shared, const bf16 *x, const W *w, O *y, int M,
                                 const E &epilogue) {
  constexpr bool narrow = sizeof(W) == 1;
  constexpr kernels::MmaLayout layout(tileM, tileN, sizeof(W));
  constexpr int warpsN = tileN == 128 ? 4 : 2, threads = 64 * warpsN;
  constexpr int stageBytes = layout.stageBytes, stages = layout.stages;
  constexpr int steps = (K + 63) / 64;
  constexpr int blocksM = tileM / 32, blocksN = tileN / warpsN / 16; // of 16 rows and of 16 columns, for a warp
  constexpr int quarters = 4 / warpsN; // of a row's squares that a warp adds up: others have the same rows
  auto &squaresOfRow = *reinterpret_cast<float(*)[4][tileM]>(shared + layout.squares);

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const int warpM = warp / warpsN, warpN = warp % warpsN;
  const int tilesM = (M + tileM - 1) / tileM;
  const int firstRow = static_cast<int>(grid.block) % tilesM * tileM;
  const int firstColumn = static_cast<int>(grid.block) / tilesM * tileN;
  const unsigned base = sharedAddress(shared);

  auto copyX = [&](int step) {
    mmaCopy<K, threads>(x, firstRow, M, tileM, step * 64, base + step % stages * stageBytes);
  };
  auto copyW = [&](int step) {
    mmaCopy<K, threads>(w, firstColumn, N, tileN, step * 64, base + step % stages * stageBytes + tileM * 128);
  };

#pragma unroll
  for (int step = 0; step < stages - 1; ++step)
    if (step < steps)
      copyW(step);
  startConsumers();
  awaitProducers();
#pragma unroll
  for (int step = 0; step < stages - 1; ++step) {
    if (step < steps)
      copyX(step);
    commitCopies(); // the first group holds all of w so far
  }

  float sums[blocksM][blocksN * 2][4] = {}, squares[blocksM][quarters][2] = {};
  for (int step = 0; step < steps; ++step) {
    waitForCopies<stages - 2>();
    __syncthreads(); // the step's tiles are there, and those of the step before are no longer read
    if (step + stages - 1 < steps) {
      copyX(step + stages - 1);
      copyW(step + stages - 1);
    }
    commitCopies();
    const unsigned xs = base + step % stages * stageBytes, ws = xs + tileM * 128;
    unsigned codes[narrow ? blocksN : 1][4]; // of two k: columns 0 to 7 of 16 and the others, then of the second
#pragma unroll
    for (int k = 0; k < 4; ++k) {
      unsigned a[blocksM][4], b[blocksN][4];
#pragma unroll
      for (int i = 0; i < blocksM; ++i) {
        if constexpr (narrow) {
          const int row = warpM * (tileM / 2) + i * 16 + g, offset = t % 2 * 8;
          const uint2 low =
              *reinterpret_cast<const uint2 *>(shared + (xs - base) + mmaPiece(row, k * 2 + t / 2) + offset);
          const uint2 high =
              *reinterpret_cast<const uint2 *>(shared + (xs - base) + mmaPiece(row + 8, k * 2 + t / 2) + offset);
          a[i][0] = low.x, a[i][1] = high.x, a[i][2] = low.y, a[i][3] = high.y;
        } else
          loadMatrices(a[i], xs + mmaPiece(warpM * (tileM / 2) + i * 16 + lane % 16, k * 2 + lane / 16));
      }
#pragma unroll
      for (int j = 0; j < blocksN; ++j) {
        const int column = warpN * (tileN / warpsN) + j * 16;
        if constexpr (narrow) {
          if (k % 2 == 0)
            loadMatrices(codes[j], ws + mmaNarrowPiece(column + lane % 16, k + lane / 16));
          const uint2 first = widenE4m3(codes[j][k % 2 * 2]), second = widenE4m3(codes[j][k % 2 * 2 + 1]);
          b[j][0] = first.x, b[j][1] = first.y, b[j][2] = second.x, b[j][3] = second.y;
        } else
          loadMatrices(b[j], ws + mmaPiece(column + lane / 16 * 8 + lane % 8, k * 2 + lane / 8 % 2));
      }
      if (norm && k % warpsN == warpN)
#pragma unroll
        for (int i = 0; i < blocksM; ++i) {
          squares[i][k / warpsN][0] += Format<bf16>::squares(a[i][0]) + Format<bf16>::squares(a[i][2]);
          squares[i][k / warpsN][1] += Format<bf16>::squares(a[i][1]) + Format<bf16>::squares(a[i][3]);
        }
#pragma unroll
      for (int i = 0; i < blocksM; ++i)
#pragma unroll
        for (int j = 0; j < blocksN; ++j) {
          mmaBf16(sums[i][j * 2], a[i], b[j][0], b[j][1]);
          mmaBf16(sums[i][j * 2 + 1], a[i], b[j][2], b[j][3]);
        }
    }
  }

  if (norm) {
#pragma unroll
    for (int i = 0; i < blocksM; ++i)
#pragma unroll
      for (int q = 0; q < quarters; ++q)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const float sum = groupSum<4>(squares[i][q][half]);
          if (t == 0)
            squaresOfRow[q * warpsN + warpN][warpM * (tileM / 2) + i * 16 + half * 8 + g] = sum;
        }
    __syncthreads();
  }
#pragma unroll
  for (int i = 0; i < blocksM; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int inTile = warpM * (tileM / 2) + i * 16 + half * 8 + g, row = firstRow + inTile;
      if (row >= M)
        continue;
      float scale = 1;
      if (norm) {
        float total = 0;
#pragma unroll
        for (int q = 0; q < 4; ++q)
          total += squaresOfRow[q][inTile];
        scale = normScale(total, K);
      }
#pragma unroll
      for (int j = 0; j < blocksN * 2; ++j) {
        const int column = firstColumn + warpN * (tileN / warpsN) + j * 8 + t * 2;
        O *to = y + static_cast<long long>(row) * N + column;
        if (N % 2 == 0) { // then pairs start aligned, and lie inside or outside as a whole
          if (column >= N)
            continue;
          const float pair[2] = {epilogue(sums[i][j][half * 2] * scale, epilogue.fetch(row, column)),
                                 epilogue(sums[i][j][half * 2 + 1] * scale, epilogue.fetch(row, column + 1))};
          store(to, pair);
        } else {
#pragma unroll
          for (int l = 0; l < 2; ++l)
            if (column + l < N)
              to[l] = fromFloat<O>(epilogue(sums[i][j][half * 2 + l] * scale, epilogue.fetch(row, column + l)));
        }
      }
    }
}

template <int K, typename T> __device__ inline float mmaRead(const T *from, int first, int end, int k) {
  return first < end && k < K ? toFloat(from[static_cast<long long>(first) * K + k]) : 0.0f;
}

template <typename T, typename O, int K, int N, int tileM, int tileN, bool norm, typename W, typename E>
__device__ inline void mmaPlain(const Grid &grid, unsigned char *shared, const T *x, const W *w, O *y, int M,
                                const E &epilogue) {
  constexpr kernels::MmaLayout layout(tileM, tileN, sizeof(W));
  constexpr int depth = layout.plainDepth, threads = layout.threads, across = 16, down = threads / across;
  constexpr int blocksM = tileM / down, blocksN = tileN / across; // outputs of a thread, `down` and `across` apart
  // Transposed; the padding spreads the stores over the banks.
  auto &xs = *reinterpret_cast<float(*)[depth][tileM + 1]>(shared);
  auto &ws = *reinterpret_cast<float(*)[depth][tileN + 1]>(shared + sizeof(xs));
  const int column = threadIdx.x % across, row = threadIdx.x / across;
  const int tilesM = (M + tileM - 1) / tileM;
  const int firstRow = static_cast<int>(grid.block) % tilesM * tileM;
  const int firstColumn = static_cast<int>(grid.block) / tilesM * tileN;
  waitForProducers();

  float sums[blocksM][blocksN] = {}, squares[blocksM] = {};
  for (int start = 0; start < K; start += depth) {
    __syncthreads(); // the tiles of the round before are no longer read
    for (int i = threadIdx.x; i < tileM * depth; i += threads)
      xs[i % depth][i / depth] = mmaRead<K>(x, firstRow + i / depth, M, start + i % depth);
    for (int i = threadIdx.x; i < tileN * depth; i += threads)
      ws[i % depth][i / depth] = mmaRead<K>(w, firstColumn + i / depth, N, start + i % depth);
    __syncthreads();
#pragma unroll 4
    for (int k = 0; k < depth; ++k) {
      float a[blocksM], b[blocksN];
#pragma unroll
      for (int i = 0; i < blocksM; ++i) {
        a[i] = xs[k][row + i * down];
        if (norm)
          squares[i] += a[i] * a[i];
      }
#pragma unroll
      for (int j = 0; j < blocksN; ++j)
        b[j] = ws[k][column + j * across];
#pragma unroll
      for (int i = 0; i < blocksM; ++i)
#pragma unroll
        for (int j = 0; j < blocksN; ++j)
          sums[i][j] += a[i] * b[j];
    }
  }
#pragma unroll
  for (int i = 0; i < blocksM; ++i) {
    const int m = firstRow + row + i * down;
    const float scale = norm ? normScale(squares[i], K) : 1;
#pragma unroll
    for (int j = 0; j < blocksN; ++j) {
      const int n = firstColumn + column + j * across;
      if (m < M && n < N)
        y[static_cast<long long>(m) * N + n] = fromFloat<O>(epilogue(sums[i][j] * scale, epilogue.fetch(m, n)));
    }
  }
}

// Engine `mma`: P has T, O, K, N, norm, tile_m and tile_n.
template <typename P, template <typename> class Epilogue, typename Args>
__device__ inline void productMma(const Grid &grid, unsigned char *shared, const Args &a) {
  using T = typename P::T;
  using O = typename P::O;
  using W = typename PointeeOf<decltype(a.w)>::Type;
  const Epilogue<P> epilogue(a);
  if constexpr (Format<T>::tensorCores && P::K * sizeof(W) % 16 == 0)
    mmaTensor<O, P::K, P::N, P::tile_m, P::tile_n, P::norm != 0>(grid, shared, a.x, a.w, a.y, a.n, epilogue);
  else
    mmaPlain<T, O, P::K, P::N, P::tile_m, P::tile_n, P::norm != 0>(grid, shared, a.x, a.w, a.y, a.n, epilogue);
}
