// Matrix times a few vectors, for decode: y[M, N] = epilogue(x[M, K] w[N, K]^T), M from 1 to 8, where streaming w is
// all the work.
//
// bf16, and w of bf16 or e4m3: a block owns neighbouring columns of the output, which are neighbouring rows of w. One
// warp streams them into a ring of stages in shared memory, up to 8 columns x a chunk of k each, and starts before the
// block's producers have ended: weights are constants. The ring and the registers leave half an SM to the next kernel,
// which streams its own weights meanwhile. Eight warps share the k of a stage and multiply by mma m16n8k16 (f32 sums),
// which costs nothing here and spares the ordinary cores the conversions. Which k an operand slot means is free as long
// as both operands agree: lane (g, t) takes 8 neighbours of k from row g of x and from column g, one 16-byte load each;
// rows 8 to 15 of the first operand are zeros. At the end of up to five tiles the warps' sums are added in order. Other
// types and odd K: a warp per column, in vectors that divide K.
//
// From the arrival of x on every instruction counts, so as much as registers hold is done before: the weights of the
// first stages are in registers by then, and their products, which depend on nothing else, are issued tile by tile in
// turn, since each waits some 30 cycles for the one before in its sum.

#pragma once

#include "kernels_templates/device/copy.cuh"
#include "kernels_templates/device/format.cuh"
#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/mma.cuh"
#include "kernels_templates/device/reduce.cuh"
#include "kernels_templates/device/vector.cuh"
#include "kernels_templates/product/epilogue.cuh"
#include "kernels_templates/product/stream_layout.h"

// d += x w of 16 slots of k; the rows 8 to 15 of x are zeros.
__device__ inline void streamMma(float (&d)[4], unsigned x0, unsigned x1, unsigned w0, unsigned w1) {
  const unsigned x[4] = {x0, 0, x1, 0};
  mmaBf16(d, x, w0, w1);
}

__device__ inline void streamSync() { groupBarrier<kernels::StreamLayout::consumers>(1); }

template <typename O, int K, int N, int M, bool norm, typename W, typename E>
__device__ inline void streamTensor(const Grid &grid, unsigned char *shared, const bf16 *x, const W *w, O *y,
                                    const E &epilogue) {
  constexpr int size = sizeof(W);
  constexpr kernels::StreamLayout layout(K, N, M, size);
  constexpr int streamWarps = layout.warps, streamConsumers = layout.consumers;
  constexpr int columns = layout.columns, tiles = layout.tiles, width = layout.width, held = layout.held;
  constexpr int chunk = layout.chunk, chunks = layout.chunks, pitch = layout.pitch, stages = layout.stages;
  constexpr int groups = (tiles + held - 1) / held;
  constexpr bool refill = stages < tiles * chunks;
  constexpr int units = chunk / (32 * streamWarps);         // of 32 k, for one warp of a stage
  constexpr int depth = chunks > 3 ? 2 : chunks;            // stages of x that a thread has under way
  constexpr bool straight = groups == 1 && chunks <= 3;     // short enough to be unrolled
  constexpr int chains = !straight ? 1 : held <= 3 ? 2 : 1; // sums of a tile
  constexpr int early =
      straight ? least(held * chunks, layout.vectors / units - depth) : 0;     // stages in registers before the wait
  float *partial = reinterpret_cast<float *>(shared + stages * width * pitch); // [warps][held][M][8]
  Barrier *full = reinterpret_cast<Barrier *>(shared + layout.barriers), *empty = full + stages;
  auto &squaresOf = *reinterpret_cast<float(*)[streamWarps][8]>(shared + layout.squares);

  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int first = static_cast<int>(grid.block) * columns, end = least(first + columns, N);

  // The start of a kernel runs from cold instruction memory: short code is fast code here, so loops stay loops.
  if (warp == streamWarps && lane < stages) {
    initBarrier(full + lane, copyArrivals);
    initBarrier(empty + lane, streamWarps);
  }
  publishBarriers();
  startConsumers();
  __syncthreads();
  int stage = 0;
  unsigned parity = 0;
  auto advance = [&] {
    if (++stage == stages) {
      stage = 0;
      parity ^= 1;
    }
  };

  if (warp == streamWarps) { // stages in the order of consumption
    int filled = 0;
#pragma unroll 1
    for (int tiled = 0; tiled < tiles; tiled += held)
#pragma unroll 1
      for (int k = 0; k < K; k += chunk)
#pragma unroll 1
        for (int column = first + tiled * width; column < least(end, first + (tiled + held) * width); column += width) {
          if (refill && filled++ >= stages)
            await(empty + stage, parity ^ 1);
          const int rows = least(end - column, width), bytes = least(K - k, chunk) * size;
          beginCopies(full + stage, rows * bytes);
          copyRows(shared + stage * width * pitch, pitch, w + static_cast<long long>(column) * K + k,
                   K * static_cast<long long>(size), rows, bytes, full + stage);
          endCopies(full + stage);
          advance();
        }
    return;
  }

  const int g = lane / 4, t = lane % 4;
  auto inputAt = [&](int part, int u) { return part * chunk + (warp + u * streamWarps) * 32 + t * 8; };
  // Of the next stage, between await(full + stage, parity) and leave().
  auto weightsAt = [&](int part, int u) {
    const unsigned char *from = shared + (stage * width + least(g, width - 1)) * pitch + t * 8 * size;
    if (K % chunk != 0 && inputAt(part, u) >= K)
      return make_uint4(0, 0, 0, 0); // what the stage held before
    return Weights<W>::eight(from + (warp + u * streamWarps) * 32 * size);
  };
  auto leave = [&] {
    if (refill) {
      __syncwarp();
      if (lane == 0)
        arrive(empty + stage);
    }
    advance();
  };
  uint4 kept[early > 0 ? early : 1][units] = {};
#pragma unroll
  for (int i = 0; i < early; ++i)
    if (first + i % held * width < end) {
      await(full + stage, parity);
#pragma unroll
      for (int u = 0; u < units; ++u)
        kept[i][u] = weightsAt(i / held, u);
      leave();
    }
  awaitProducers();

  float squares = 0, scale = 1;
#pragma unroll 1
  for (int group = 0; group < groups; ++group) {
    float sums[held][chains][4] = {};
    constexpr int outputs = held * M * 8, mine = (outputs + streamConsumers - 1) / streamConsumers;
    auto rowOf = [](int i) { return i / 8 % M; };
    auto columnOf = [&](int i) { return first + (group * held + i / (8 * M)) * width + i % 8; };
    auto exists = [&](int i) { return i < outputs && i % 8 < width && columnOf(i) < end; };
    auto input = [&](int part, int u) {
      const int k = inputAt(part, u);
      return g < M && k < K ? *reinterpret_cast<const uint4 *>(x + g * K + k) : make_uint4(0, 0, 0, 0);
    };
    uint4 ahead[depth][units];
#pragma unroll
    for (int i = 0; i < depth; ++i)
#pragma unroll
      for (int u = 0; u < units; ++u)
        ahead[i][u] = input(i, u);
    decltype(epilogue.fetch(0, 0)) operands[mine];
    auto fetchOperands = [&] {
#pragma unroll
      for (int j = 0; j < mine; ++j) {
        const int i = threadIdx.x + j * streamConsumers;
        if (exists(i))
          operands[j] = epilogue.fetch(rowOf(i), columnOf(i));
      }
    };
    // Behind x: who converts what it has fetched waits for it. A long loop has no registers to keep it in.
    if (straight)
      fetchOperands();
#pragma unroll(chunks > 3 ? 1 : chunks)
    for (int part = 0; part < chunks; ++part) {
      uint4(&xs)[units] = ahead[0];
      auto multiplyBy = [&](int tile, int u, uint4 v) {
        const int chain = straight ? (part * units + u) * 2 % chains : 0;
        streamMma(sums[tile][chain], xs[u].x, xs[u].y, v.x, v.y);
        streamMma(sums[tile][(chain + 1) % chains], xs[u].z, xs[u].w, v.z, v.w);
      };
#pragma unroll
      for (int u = 0; u < units; ++u)
#pragma unroll
        for (int tile = 0; tile < held; ++tile)
          if (straight && part * held + tile < early)
            multiplyBy(tile, u, kept[part * held + tile][u]);
      if (norm && group == 0)
#pragma unroll
        for (int u = 0; u < units; ++u)
          squares += Format<bf16>::squares(xs[u]);
#pragma unroll
      for (int tile = 0; tile < held; ++tile) {
        if (straight && part * held + tile < early)
          continue;
        if (first + (group * held + tile) * width >= end)
          break;
        await(full + stage, parity);
#pragma unroll
        for (int u = 0; u < units; ++u)
          multiplyBy(tile, u, weightsAt(part, u));
        leave();
      }
#pragma unroll
      for (int u = 0; u < units; ++u) {
#pragma unroll
        for (int i = 1; i < depth; ++i)
          ahead[i - 1][u] = ahead[i][u];
        if (chunks > depth)
          ahead[depth - 1][u] = input(part + depth, u);
      }
    }
    if (!straight)
      fetchOperands();
    if (norm && group == 0) {
      squares = groupSum<4>(squares); // of row g
      if (t == 0)
        squaresOf[warp][g] = squares;
    }
    if (g < M)
#pragma unroll
      for (int tile = 0; tile < held; ++tile) {
        float2 sum = make_float2(sums[tile][0][0], sums[tile][0][1]);
#pragma unroll
        for (int chain = 1; chain < chains; ++chain) {
          sum.x += sums[tile][chain][0];
          sum.y += sums[tile][chain][1];
        }
        *reinterpret_cast<float2 *>(partial + ((warp * held + tile) * M + g) * 8 + t * 2) = sum;
      }
    streamSync();
#pragma unroll
    for (int j = 0; j < mine; ++j) {
      const int i = threadIdx.x + j * streamConsumers;
      if (!exists(i))
        continue;
      if (norm) {
        float total = 0;
#pragma unroll
        for (int k = 0; k < streamWarps; ++k)
          total += squaresOf[k][rowOf(i)];
        scale = normScale(total, K);
      }
      float sum = 0;
#pragma unroll
      for (int k = 0; k < streamWarps; ++k)
        sum += partial[k * outputs + i];
      y[rowOf(i) * static_cast<long long>(N) + columnOf(i)] = fromFloat<O>(epilogue(sum * scale, operands[j]));
    }
    if (groups > 1)
      streamSync(); // before the sums are written again
  }
}

template <typename T, typename O, int K, int N, int M, bool norm, typename W, typename E>
__device__ inline void streamPlain(const Grid &grid, const T *x, const W *w, O *y, const E &epilogue) {
  constexpr int lanes = vectorOf<T>(K), warps = kernels::StreamLayout::threads / 32;
  waitForProducers();
  for (int column = static_cast<int>(grid.warp()); column < N; column += grid.blocks * warps) {
    float sums[M] = {}, squares[M] = {};
#pragma unroll 2
    for (int k = threadIdx.x % 32 * lanes; k < K; k += 32 * lanes) {
      float a[lanes];
      load(w + static_cast<long long>(column) * K + k, a);
#pragma unroll
      for (int m = 0; m < M; ++m) {
        float b[lanes];
        load(x + m * K + k, b);
#pragma unroll
        for (int l = 0; l < lanes; ++l) {
          sums[m] += a[l] * b[l];
          if (norm)
            squares[m] += b[l] * b[l];
        }
      }
    }
#pragma unroll
    for (int m = 0; m < M; ++m) {
      float sum = warpSum(sums[m]);
      if (norm)
        sum *= normScale(warpSum(squares[m]), K);
      if (threadIdx.x % 32 == 0)
        y[m * static_cast<long long>(N) + column] = fromFloat<O>(epilogue(sum, epilogue.fetch(m, column)));
    }
  }
}

// Engine `stream`: P has T, O, K, N, norm, and M, the rows of x.
template <typename P, template <typename> class Epilogue, typename Args>
__device__ inline void productStream(const Grid &grid, unsigned char *shared, const Args &a) {
  using T = typename P::T;
  using O = typename P::O;
  using W = typename PointeeOf<decltype(a.w)>::Type;
  const Epilogue<P> epilogue(a);
  if constexpr (Format<T>::tensorCores && P::K * sizeof(W) % 16 == 0)
    streamTensor<O, P::K, P::N, P::M, P::norm != 0>(grid, shared, a.x, a.w, a.y, epilogue);
  else
    streamPlain<T, O, P::K, P::N, P::M, P::norm != 0>(grid, a.x, a.w, a.y, epilogue);
}
