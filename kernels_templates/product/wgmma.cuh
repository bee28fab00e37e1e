// Matrix times matrix on Hopper, for any number of tokens: y[M, N] = epilogue(scale(x)[M, K] w[N, K]^T) in bf16, sums
// in f32, by wgmma out of tiles that TMA brings (wgmma.cuh).
//
// The weights are wgmma's operand A, 64 features of y for each of the block's one to three consumer warpgroups; the
// tokens are its narrow operand B, 8 to 256 of them. So the same template serves a batch of eight and a prefill. The
// first warpgroup feeds: its thread 0 keeps a ring of stages full, 128 bytes of K each (64 of bf16); its three other
// warps take the sums of squares for the norm from the tiles of x as they pass. Weights are constants: the ring's first
// ones are under way before the wait for the producers.
//
// Blocks are persistent. `split` blocks of a cluster share a tile: each sums its part of K, every eight tokens have one
// of them as owner in turn, and the owner adds what the others send in order of their ranks. Or `share` blocks take
// neighbouring features of the same tokens and fetch x once for both. Everything has a fixed order, and a token's
// result depends on the parameters alone, not on how many tokens there are.

#pragma once

#include "kernels_templates/device/mma.cuh"
#include "kernels_templates/device/wgmma.cuh"
#include "kernels_templates/product/epilogue.cuh"
#include "kernels_templates/product/wgmma_ring.cuh"

// The half that multiplies; `thread` counts from the first consumer, `local` in its warpgroup.
template <typename T, typename O, int K, int N, int tileM, int tileN, int stages, int split, int share, bool norm,
          typename E>
struct Wgmma : WgmmaBlock<T, K, N, tileM, tileN, stages, split, share, norm> {
  using Block = WgmmaBlock<T, K, N, tileM, tileN, stages, split, share, norm>;
  using Block::cluster, Block::warpgroups, Block::consumers, Block::octets, Block::owned, Block::stageBytes,
      Block::depth, Block::M, Block::rank, Block::firstStep, Block::endStep, Block::first, Block::stride, Block::count,
      Block::staging, Block::receive, Block::squares, Block::full, Block::received, Block::squared, Block::read;
  using Block::tileOf, Block::weightsOf, Block::tokensOf, Block::release;
  using typename Block::Layout;
  using typename Block::Slot;
  // An epilogue goes in rounds of up to 32 tokens, each in passes of 16: 8 threads a token, 8 features a thread.
  static constexpr int octetsOfRound = Block::layout.round, rounds = (owned + octetsOfRound - 1) / octetsOfRound;
  static constexpr int passes = (octetsOfRound + 1) / 2;
  using Operands = typename E::Operands;
  // What depends on the sums alone becomes bf16 before it is staged: half the traffic, twice the tokens in a round.
  static constexpr bool packed = split == 1 && tileM >= 32 && sizeof(O) == 2 && __is_empty(Operands);
  static constexpr int packedTokens = tileM % 64 == 0 && tileN < 192 ? 64 : 32;
  // So many last steps of a tile go to the tensor cores one warpgroup after the other, not side by side: while one
  // writes its outputs the other still multiplies, or the tensor cores would idle for as long. As many as the ring
  // holds besides the one before, which is not released yet: what they multiply comes without them. The leader cannot
  // be a tile ahead for the same reason, given that many steps. Small tiles have few outputs; those in parts wait for
  // all parts; of three warpgroups two multiply anyway.
  static constexpr bool inTurn = warpgroups == 2 && stages > 1 && split == 1 && tileM > 64 && Block::steps >= stages;
  static constexpr int held = stages - 1;

  O *y;
  const E &epilogue;

  __device__ Wgmma(const Grid &grid, unsigned char *shared, const TensorMap *xMap, const TensorMap *wMap, O *y, int M,
                   const E &epilogue)
      : Block(grid, shared, xMap, wMap, M), y(y), epilogue(epilogue) {}

  struct Place { // of 8 features of a token
    int token, feature, row;
    bool exists;
  };
  __device__ Place placeOf(const WgmmaTile &tile, int round, int pass, int thread) const {
    const int local = thread % 128, row = pass * 16 + local / 8;
    const int octet = (round * octetsOfRound + row / 8) * split + (split > 1 ? rank : 0);
    const int token = tile.token + octet * 8 + row % 8, feature = tile.feature + thread / 128 * 64 + local % 8 * 8;
    return {token, feature, row, row < octetsOfRound * 8 && octet < octets && token < M && feature < N};
  }
  __device__ void fetchOperands(Operands (&operands)[passes], const WgmmaTile &tile, int round, int thread) const {
#pragma unroll
    for (int pass = 0; pass < passes; ++pass) {
      const Place place = placeOf(tile, round, pass, thread);
      if (place.exists)
        operands[pass] = epilogue.fetchEight(place.token, place.feature);
    }
  }

  // Where the four sums that `source` has of this thread's part of the owner's octet `index` arrive.
  __device__ float *receiveAt(int owner, int source, int index, int thread) const {
    return receive + (((source < owner ? source : source - 1) * owned + index) * consumers + thread) * 4;
  }

  __device__ void send(float (&d)[tileM / 2], int thread) const {
#pragma unroll
    for (int owner = 0; owner < split; ++owner) {
      if (owner == rank)
        continue;
      const unsigned to = clusterAddress(receiveAt(owner, rank, 0, thread), owner);
      const unsigned barrier = clusterAddress(received, owner);
#pragma unroll
      for (int index = 0; index * split + owner < octets; ++index)
        clusterStore4(to + index * consumers * 16, d + (index * split + owner) * 4, barrier);
    }
  }

  // With constant numbers: one from a register would claim all sixteen of the hardware's barriers.
  __device__ void syncWarpgroup(int warpgroup) const {
    if (tileN == 64 || warpgroup == 0)
      groupBarrier<128>(1);
    else if (tileN == 128 || warpgroup == 1)
      groupBarrier<128>(2);
    else
      groupBarrier<128>(3);
  }

  // A round's sums into the staging tile, [token][feature], which turns columns of the fragments into rows of y. A
  // store of a warp meets bank 8 (lane % 4) + lane / 4 (+ const): all different.
  __device__ void stage(float (&d)[tileM / 2], int round, int thread, float *tile) const {
    const int lane = thread % 32, warp = thread / 32 % 4;
    float *to = tile + lane % 4 * 2 * Layout::pitch + warp * 16 + lane / 4;
#pragma unroll
    for (int owner = 0; owner < split; ++owner) {
      if (split > 1 && owner != rank)
        continue;
#pragma unroll
      for (int i = 0; i < octetsOfRound; ++i) {
        const int index = round * octetsOfRound + i, octet = index * split + owner;
        if (octet >= octets)
          continue;
        float sum[4];
#pragma unroll
        for (int source = 0; source < split; ++source) {
          const float4 part = source == owner
                                  ? make_float4(d[octet * 4], d[octet * 4 + 1], d[octet * 4 + 2], d[octet * 4 + 3])
                                  : *reinterpret_cast<const float4 *>(receiveAt(owner, source, index, thread));
          sum[0] = source == 0 ? part.x : sum[0] + part.x;
          sum[1] = source == 0 ? part.y : sum[1] + part.y;
          sum[2] = source == 0 ? part.z : sum[2] + part.z;
          sum[3] = source == 0 ? part.w : sum[3] + part.w;
        }
#pragma unroll
        for (int j = 0; j < 4; ++j)
          to[(i * 8 + j % 2) * Layout::pitch + j / 2 * 8] = sum[j];
      }
    }
  }

  __device__ float scaleOf(int round, int row) const {
    if (split == 1) // sumSquares() has made it
      return squares[round * octetsOfRound * 8 + row];
    float total = 0;
#pragma unroll
    for (int source = 0; source < split; ++source)
      total += squares[(source * owned + round * octetsOfRound) * 8 + row];
    return normScale(total, K);
  }

  __device__ void finish(const Place &place, int round, const Operands &operands, const float *tile) const {
    // The upper four lanes of a token read their two halves in the other order: 8 lanes then meet 32 banks.
    const float *from = tile + place.row * Layout::pitch + place.feature % 64;
    const bool swapped = place.feature % 64 >= 32;
    const float4 a = *reinterpret_cast<const float4 *>(from + (swapped ? 4 : 0));
    const float4 b = *reinterpret_cast<const float4 *>(from + (swapped ? 0 : 4));
    const float4 low = swapped ? b : a, high = swapped ? a : b;
    float sums[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
    if (norm) {
      const float scale = scaleOf(round, place.row);
#pragma unroll
      for (float &sum : sums)
        sum *= scale;
    }
    epilogue.finish(sums, operands);
    constexpr int lanes = 16 / static_cast<int>(sizeof(O));
    O *to = y + (place.token * static_cast<long long>(N) + place.feature);
#pragma unroll
    for (int i = 0; i < 8; i += lanes)
      store<lanes>(to + i, *reinterpret_cast<const float(*)[lanes]>(sums + i));
  }

  // The same for packed outputs: rows of 128 bytes in the staging tile, permuted as those of the ring.
  __device__ void finishPacked(float (&d)[tileM / 2], const WgmmaTile &at, int thread, float *tile) const {
    const int lane = thread % 32, warp = thread / 32 % 4, warpgroup = thread / 128;
    unsigned char *rows = reinterpret_cast<unsigned char *>(tile);
    const unsigned to = sharedAddress(rows) + (lane / 16 * 8 + lane % 8) * 128 +
                        ((warp * 2 + lane / 8 % 2) ^ lane % 8) * 16; // of 16 tokens by the warp's 16 features
#pragma unroll
    for (int first = 0; first < tileM; first += packedTokens) {
      syncWarpgroup(warpgroup); // the round before is read
#pragma unroll
      for (int token = 0; token < packedTokens; token += 16) {
        unsigned pairs[4]; // of tokens: octet, feature / 8
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int octet = (first + token) / 8 + i / 2;
          float a = d[octet * 4 + i % 2 * 2], b = d[octet * 4 + i % 2 * 2 + 1];
          if (norm) {
            const float2 scale = *reinterpret_cast<const float2 *>(squares + octet * 8 + lane % 4 * 2);
            a *= scale.x;
            b *= scale.y;
          }
          pairs[i] = packBf16(epilogue(a, epilogue.fetch(0, 0)), epilogue(b, epilogue.fetch(0, 0)));
        }
        storeTransposed(to + token * 128, pairs);
      }
      syncWarpgroup(warpgroup);
#pragma unroll
      for (int pass = 0; pass < packedTokens / 16; ++pass) {
        const int row = pass * 16 + thread % 128 / 8, piece = thread % 8;
        const int token = at.token + first + row, feature = at.feature + warpgroup * 64 + piece * 8;
        if (token < M && feature < N)
          *reinterpret_cast<uint4 *>(y + (token * static_cast<long long>(N) + feature)) =
              *reinterpret_cast<const uint4 *>(rows + row * 128 + (piece ^ row % 8) * 16);
      }
    }
  }

  __device__ void consume(int thread) const {
    const int lane = thread % 32, warpgroup = thread / 128;
    float *tile = staging + warpgroup * (8 * octetsOfRound * Layout::pitch);
    const Matrix a0 = matrixOf(weightsOf(0) + warpgroup * 64 * Layout::row), b0 = matrixOf(tokensOf(0));
    Slot slot;
    unsigned made = 0;
#pragma unroll 1
    for (int unit = first; unit < count; unit += stride, ++made) {
      const WgmmaTile at = tileOf(unit);
      Operands operands[2][passes];
      if (rounds == 1)
        fetchOperands(operands[0], at, 0, thread);
      // A block that owns nothing has nothing to wait for: no one would keep its first warp from arming the barrier
      // again before its last has seen the phase.
      const bool owner = split > 1 && rank < octets;
      if (owner && thread == 0) {
        const int mine = (octets - rank + split - 1) / split;
        arriveExpect(received, (split - 1) * mine * (consumers * 16 + (norm ? 32 : 0)));
      }

      float d[tileM / 2];
      defineSums(d);
      int last = 0;
#pragma unroll 1
      for (int step = firstStep; step < endStep; ++step, slot.advance()) {
        if (inTurn && warpgroup == 1 && step == endStep - held)
          groupBarrier<256>(4);
        await(full + slot.stage, slot.parity);
        const Matrix a = a0 + slot.stage * (stageBytes / 16), b = b0 + slot.stage * (stageBytes / 16);
        beginProducts();
#pragma unroll
        for (int k = 0; k < depth; k += WgmmaFormat<T>::k)
          WgmmaFormat<T>::multiply(d, alongK<T>(a, k), alongK<T>(b, k), k > 0 || step > firstStep);
        endProducts();
        awaitProducts<(stages > 1)>(); // the step before is done with its stage; of one stage, this step
        if (stages == 1 || step > firstStep)
          release(stages == 1 ? 0 : last, lane);
        last = slot.stage;
      }
      if (inTurn && warpgroup == 0)
        passBarrier<256>(4);
      if (rounds > 1)
        fetchOperands(operands[0], at, 0, thread);
      awaitProducts<0>();
      pinSums(d);
      if (stages > 1)
        release(last, lane);

      if (split > 1) {
        if (made > 0)
          await(read, (made - 1) & 1);
        send(d, thread);
        if (owner)
          await(received, made & 1);
      }
      if (norm)
        await(squared, made & 1);
      if constexpr (packed)
        finishPacked(d, at, thread, tile);
#pragma unroll
      for (int round = 0; !packed && round < rounds; ++round) {
        syncWarpgroup(warpgroup); // the round before is read
        stage(d, round, thread, tile);
        if (round + 1 < rounds)
          fetchOperands(operands[(round + 1) % 2], at, round + 1, thread);
        syncWarpgroup(warpgroup);
#pragma unroll
        for (int pass = 0; pass < passes; ++pass) {
          const Place place = placeOf(at, round, pass, thread);
          if (place.exists)
            finish(place, round, operands[round % 2][pass], tile);
        }
      }
      if (norm || split > 1) {
        __syncwarp();
        if (cluster == 1 && lane == 0)
          arrive(read);
        if (cluster > 1 && lane < cluster)
          arriveAt(read, lane);
      }
    }
    if (cluster > 1 && (norm || split > 1) && made > 0) // as at the end of feed()
      await(read, (made - 1) & 1);
  }
};

// Engine `wgmma`: P has T, O, K, N, norm, tile_m, tile_n, stages, split, share and blocks (which the host's grid
// obeys).
template <typename P, template <typename> class Epilogue, typename Args>
__device__ inline void productWgmma(const Grid &grid, unsigned char *shared, const Args &a) {
  constexpr int tileM = P::tile_m, tileN = P::tile_n;
  constexpr bool norm = P::norm != 0;
  using Kernel =
      Wgmma<typename P::T, typename P::O, P::K, P::N, tileM, tileN, P::stages, P::split, P::share, norm, Epilogue<P>>;
  const Epilogue<P> epilogue(a);
  const TensorMap *xMap = a.x_map, *wMap = a.w_map;
  const Kernel kernel(grid, shared, xMap, wMap, a.y, a.n, epilogue);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;

  int filled = 0;
  if (threadIdx.x == 0) {
    prefetchMap(wMap);
    kernel.initBarriers();
    filled = kernel.fetchFirstWeights();
    prefetchMap(xMap);
  }
  __syncwarp();
  clusterArrive<Kernel::cluster>();
  startConsumers();
  __syncthreads();
  clusterWait<Kernel::cluster>(); // the others' barriers are there
  awaitProducers();

  // Many sums need more registers than an even share of the SM's: 168 for 384 threads, 128 for 512 and twice 256.
  constexpr bool uneven = tileM > (tileN == 128 ? 128 : 64);
  constexpr int few = tileN == 192 ? (norm ? 80 : 56) : norm ? 88 : 40;
  constexpr int many = ((tileN == 64 ? 256 : tileN == 128 ? 504 : 512) - few) / (tileN / 64);
  if (warp >= 4) {
    if constexpr (uneven)
      growRegisters<many>();
    kernel.consume(static_cast<int>(threadIdx.x) - 128);
  } else {
    if constexpr (uneven)
      shrinkRegisters<few>();
    if (norm && warp > 0)
      kernel.sumSquares(warp, lane);
    if (warp == 0 && lane == 0)
      kernel.feed(filled);
  }
}
