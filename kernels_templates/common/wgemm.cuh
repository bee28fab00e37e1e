// Matrix times matrix on Hopper, for any number of tokens: y[M, N] = epilogue(scale(x)[M, K] w[N, K]^T) in bf16, sums
// in f32, by wgmma out of tiles that TMA brings (wgmma.cuh).
//
// The weights are wgmma's operand A, 64 features of y for each of the block's one or two consumer warpgroups; the
// tokens are its narrow operand B, 8 to 256 of them. So the same template serves a batch of eight and a prefill. The
// first warpgroup feeds: its thread 0 keeps a ring of stages full, 64 of K each; its three other warps take the sums of
// squares for the norm from the tiles of x as they pass. Weights are constants: the ring's first ones are under way
// before the wait for the producers.
//
// Blocks are persistent. `split` blocks of a cluster share a tile: each sums its part of K, every eight tokens have one
// of them as owner in turn, and the owner adds what the others send in order of their ranks. Or `share` blocks take
// neighbouring features of the same tokens and fetch x once for both. Everything has a fixed order, and a token's
// result depends on the parameters alone, not on how many tokens there are.

constexpr int wgemmPitch = 68; // floats of a token in the staging tile: 2 * 68 = 8 mod 32 banks, see stage()

__host__ __device__ constexpr int wgemmOctets(int tileM, int split) { // that a block owns at most
  return (tileM / 8 + split - 1) / split;
}
// Keep in step with common/wgemm.h: the ring, staging tiles of up to 32 tokens, what other blocks send, squares.
__host__ __device__ constexpr int wgemmStageBytes(int tileM, int tileN) { return (tileM + tileN) * 128; }
__host__ __device__ constexpr int wgemmStagingBytes(int tileM, int tileN, int split) {
  return tileN / 64 * 8 * least(4, wgemmOctets(tileM, split)) * wgemmPitch * 4;
}
__host__ __device__ constexpr int wgemmReceiveBytes(int tileM, int tileN, int split) {
  return (split - 1) * wgemmOctets(tileM, split) * tileN * 2 * 16;
}
__host__ __device__ constexpr int wgemmSquaresBytes(int tileM, int split, bool norm) {
  return norm ? split * wgemmOctets(tileM, split) * 8 * 4 : 0;
}

struct WgemmTile {
  int token, feature; // the first of each
};

template <typename O, int K, int N, int tileM, int tileN, int stages, int split, int share, bool norm, typename E>
struct Wgemm {
  static constexpr int warpgroups = tileN / 64, consumers = 128 * warpgroups, cluster = split * share;
  static constexpr int octets = tileM / 8, owned = wgemmOctets(tileM, split);
  static constexpr int stageBytes = wgemmStageBytes(tileM, tileN);
  static constexpr int steps = (K + 63) / 64;                              // of K, a stage each
  static constexpr int across = (N + tileN * share - 1) / (tileN * share); // clusters' widths in a row of y
  // An epilogue goes in rounds of up to 32 tokens, each in passes of 16: 8 threads a token, 8 features a thread.
  static constexpr int octetsOfRound = least(4, owned), rounds = (owned + octetsOfRound - 1) / octetsOfRound;
  static constexpr int passes = (octetsOfRound + 1) / 2;
  using Operands = typename E::Operands;

  const TensorMap *xMap, *wMap;
  O *y;
  int M;
  const E &epilogue;

  unsigned char *ring; // stages of [tileN rows of w][tileM rows of x], 64 of K each
  float *staging, *receive, *squares;
  // Of the ring; of what other blocks send to this one, and of their leave to send the next; of the local squares.
  Barrier *full, *empty, *received, *leave, *squared, *unsquared;

  int rank, firstStep, endStep;     // in the cluster, and this block's part of K
  int tilesM, first, stride, count; // units of the cluster: first, first + stride, ... below count

  __device__ Wgemm(const TensorMap *xMap, const TensorMap *wMap, O *y, int M, const E &epilogue, unsigned char *shared)
      : xMap(xMap), wMap(wMap), y(y), M(M), epilogue(epilogue), ring(shared) {
    unsigned char *at = shared + stages * stageBytes;
    staging = reinterpret_cast<float *>(at);
    receive = reinterpret_cast<float *>(at += wgemmStagingBytes(tileM, tileN, split));
    squares = reinterpret_cast<float *>(at += wgemmReceiveBytes(tileM, tileN, split));
    full = reinterpret_cast<Barrier *>(at += wgemmSquaresBytes(tileM, split, norm));
    empty = full + stages;
    received = empty + stages;
    leave = received + 1;
    squared = received + 2;
    unsquared = received + 3;
    rank = static_cast<int>(blockIdx.x) % cluster;
    firstStep = split == 1 ? 0 : steps * rank / split;
    endStep = split == 1 ? steps : steps * (rank + 1) / split;
    tilesM = (M + tileM - 1) / tileM;
    first = static_cast<int>(blockIdx.x) / cluster;
    stride = static_cast<int>(gridDim.x) / cluster;
    count = tilesM * across;
  }

  // Units in bands of 2,048 tokens, in a band token tiles first: blocks that run at a time then read some 2,048 tokens
  // and as many features, about a square of outputs, which is the least that they can read together; and each weight
  // comes from memory once a band.
  __device__ WgemmTile tileOf(int unit) const {
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
  __device__ unsigned char *tokensOf(int stage) const { return ring + stage * stageBytes + tileN * 128; }

  __device__ void initBarriers() const {
    for (int i = 0; i < stages; ++i) {
      initBarrier(full + i, 1);
      initBarrier(empty + i, (4 * warpgroups + (norm ? 3 : 0)) * share); // a lane of every warp that reads
    }
    initBarrier(received, 1);
    initBarrier(leave, split > 1 ? (split - 1) * 4 * warpgroups : 1);
    initBarrier(squared, 3);
    initBarrier(unsquared, 4 * warpgroups);
    publishBarriers();
  }

  // ---- thread 0

  __device__ void fetchWeights(int stage, int unit, int step) const {
    arriveExpect(full + stage, stageBytes); // the stage's tokens as well
    copyTile(weightsOf(stage), wMap, full + stage, step * 64, tileOf(unit).feature);
  }
  __device__ void fetchTokens(int stage, int unit, int step) const {
    const int token = tileOf(unit).token;
    if constexpr (share > 1) { // each block its part, to all
      constexpr int part = tileM / share;
      copyTileToAll(tokensOf(stage) + rank * part * 128, xMap, full + stage, step * 64, token + rank * part,
                    (1 << share) - 1);
    } else {
      copyTile(tokensOf(stage), xMap, full + stage, step * 64, token);
    }
  }

  // Before the wait. Stages are left to fill only if there are fewer steps; returns how many were filled.
  __device__ int fetchFirstWeights() const {
    int filled = 0;
#pragma unroll 1
    for (int unit = first; unit < count; unit += stride)
#pragma unroll 1
      for (int step = firstStep; step < endStep; ++step) {
        if (filled == stages)
          return filled;
        fetchWeights(filled++, unit, step);
      }
    return filled;
  }

  __device__ void feed(int filled) const {
    Slot slot;
#pragma unroll 1
    for (int unit = first; unit < count; unit += stride)
#pragma unroll 1
      for (int step = firstStep; step < endStep; ++step, slot.advance()) {
        if (--filled < 0) {
          if (share > 1)
            awaitCluster(empty + slot.stage, slot.parity ^ 1);
          else
            await(empty + slot.stage, slot.parity ^ 1);
          fetchWeights(slot.stage, unit, step);
        }
        fetchTokens(slot.stage, unit, step);
      }
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

  // Sums of squares of the tile's tokens, 8 lanes a token, 16 bytes each; which 16 of a row's 128 a lane has, the
  // swizzle varies by p ^ (row % 8), and a butterfly over 8 lanes is blind to that.
  __device__ void sumSquares(int warp, int lane) const {
    constexpr int held = (tileM + 11) / 12; // tokens of a lane, 12 apart
    Slot slot;
    unsigned made = 0;
#pragma unroll 1
    for (int unit = first; unit < count; unit += stride, ++made) {
      float sums[held] = {};
#pragma unroll 1
      for (int step = firstStep; step < endStep; ++step, slot.advance()) {
        await(full + slot.stage, slot.parity);
#pragma unroll
        for (int i = 0; i < held; ++i) {
          const int row = i * 12 + (warp - 1) * 4 + lane / 8;
          if (row < tileM)
            sums[i] += gemvSquares(*reinterpret_cast<const uint4 *>(tokensOf(slot.stage) + row * 128 + lane % 8 * 16));
        }
        __syncwarp();
        release(slot.stage, lane);
      }
      if (made > 0) { // the last tile's are no longer read, here and where they were sent
        await(unsquared, (made - 1) & 1);
        if (split > 1)
          awaitCluster(leave, (made - 1) & 1);
      }
#pragma unroll
      for (int i = 0; i < held; ++i) {
        const float sum = groupSum<8>(sums[i]);
        const int row = i * 12 + (warp - 1) * 4 + lane / 8, octet = row / 8;
        if (row >= tileM || lane % 8 != 0)
          continue;
        float *to = squares + (split > 1 ? (rank * owned + octet / split) * 8 + row % 8 : row);
        if (split > 1 && octet % split != rank)
          clusterStore<split>(to, octet % split, sum, received);
        else
          *to = sum;
      }
      __syncwarp();
      if (lane == 0)
        arrive(squared);
    }
  }

  // ---- consumers; `thread` of the consumers, `local` of its warpgroup

  struct Place { // of 8 features of a token
    int token, feature, row;
    bool exists;
  };
  __device__ Place placeOf(const WgemmTile &tile, int round, int pass, int thread) const {
    const int local = thread % 128, row = pass * 16 + local / 8;
    const int octet = (round * octetsOfRound + row / 8) * split + (split > 1 ? rank : 0);
    const int token = tile.token + octet * 8 + row % 8, feature = tile.feature + thread / 128 * 64 + local % 8 * 8;
    return {token, feature, row, row < octetsOfRound * 8 && octet < octets && token < M && feature < N};
  }
  __device__ void fetchOperands(Operands (&operands)[passes], const WgemmTile &tile, int round, int thread) const {
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

  // A round's sums into the staging tile, [token][feature], which turns columns of the fragments into rows of y. A
  // store of a warp meets bank 8 (lane % 4) + lane / 4 (+ const): all different.
  __device__ void stage(float (&d)[tileM / 2], int round, int thread, float *tile) const {
    const int lane = thread % 32, warp = thread / 32 % 4;
    float *to = tile + lane % 4 * 2 * wgemmPitch + warp * 16 + lane / 4;
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
          to[(i * 8 + j % 2) * wgemmPitch + j / 2 * 8] = sum[j];
      }
    }
  }

  __device__ float scaleOf(int round, int row) const {
    float total = 0;
#pragma unroll
    for (int source = 0; source < split; ++source)
      total += squares[(source * owned + round * octetsOfRound) * 8 + row];
    return gemvScale(total, K);
  }

  __device__ void finish(const Place &place, int round, const Operands &operands, const float *tile) const {
    // The upper four lanes of a token read their two halves in the other order: 8 lanes then meet 32 banks.
    const float *from = tile + place.row * wgemmPitch + place.feature % 64;
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

  __device__ void consume(int thread) const {
    const int lane = thread % 32, warpgroup = thread / 128;
    float *tile = staging + warpgroup * (8 * octetsOfRound * wgemmPitch);
    const Matrix a0 = matrixOf(weightsOf(0) + warpgroup * 64 * 128), b0 = matrixOf(tokensOf(0));
    Slot slot;
    unsigned made = 0;
#pragma unroll 1
    for (int unit = first; unit < count; unit += stride, ++made) {
      const WgemmTile at = tileOf(unit);
      Operands operands[2][passes];
      if (rounds == 1)
        fetchOperands(operands[0], at, 0, thread);
      if (split > 1 && thread == 0) {
        const int mine = (octets - rank + split - 1) / split;
        arriveExpect(received, (split - 1) * mine * (consumers * 16 + (norm ? 32 : 0)));
      }

      float d[tileM / 2];
      int last = 0;
#pragma unroll 1
      for (int step = firstStep; step < endStep; ++step, slot.advance()) {
        await(full + slot.stage, slot.parity);
        const Matrix a = a0 + slot.stage * (stageBytes / 16), b = b0 + slot.stage * (stageBytes / 16);
        beginProducts();
#pragma unroll
        for (int k = 0; k < 64; k += 16)
          multiply(d, alongK(a, k), alongK(b, k), k > 0 || step > firstStep);
        endProducts();
        awaitProducts<1>(); // the step before is done with its stage
        if (step > firstStep)
          release(last, lane);
        last = slot.stage;
      }
      if (rounds > 1)
        fetchOperands(operands[0], at, 0, thread);
      awaitProducts<0>();
      pinSums(d);
      release(last, lane);

      if (split > 1) {
        if (made > 0)
          awaitCluster(leave, (made - 1) & 1);
        send(d, thread);
        awaitCluster(received, made & 1);
      }
      if (norm)
        await(squared, made & 1);
#pragma unroll
      for (int round = 0; round < rounds; ++round) {
        groupBarrier<128>(1 + warpgroup); // the round before is read
        stage(d, round, thread, tile);
        if (round + 1 < rounds)
          fetchOperands(operands[(round + 1) % 2], at, round + 1, thread);
        groupBarrier<128>(1 + warpgroup);
#pragma unroll
        for (int pass = 0; pass < passes; ++pass) {
          const Place place = placeOf(at, round, pass, thread);
          if (place.exists)
            finish(place, round, operands[round % 2][pass], tile);
        }
      }
      if (norm || split > 1) {
        __syncwarp();
        if (norm && lane == 0)
          arrive(unsquared);
        if (split > 1 && lane < split && lane != rank)
          arriveAt(leave, lane);
      }
    }
  }
};

template <typename O, int K, int N, int tileM, int tileN, int stages, int split, int share, bool norm, typename E>
__device__ inline void wgemmRun(const TensorMap *xMap, const TensorMap *wMap, O *y, int M, const E &epilogue) {
  extern __shared__ __align__(1024) unsigned char tiles[];
  using Kernel = Wgemm<O, K, N, tileM, tileN, stages, split, share, norm, E>;
  const Kernel kernel(xMap, wMap, y, M, epilogue, tiles);
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

  // Many sums need more registers than an even share of the SM's (168), or of half of them for 256 threads (128).
  constexpr bool uneven = tileM > (tileN == 128 ? 128 : 64);
  constexpr int few = tileN == 128 ? (norm ? 88 : 40) : (norm ? 56 : 40);
  constexpr int many = tileN == 128 ? (504 - few) / 2 : 256 - few;
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
  __syncwarp();
  clusterSync<Kernel::cluster>(); // nobody reaches into a block that is gone
}
