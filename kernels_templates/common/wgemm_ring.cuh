// The half of wgemm.cuh that feeds: which tiles a block makes, where things lie in its shared memory, the ring of
// stages and the sums of squares.

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

template <int K, int N, int tileM, int tileN, int stages, int split, int share, bool norm> struct WgemmBlock {
  static constexpr int warpgroups = tileN / 64, consumers = 128 * warpgroups, cluster = split * share;
  static constexpr int octets = tileM / 8, owned = wgemmOctets(tileM, split);
  static constexpr int stageBytes = wgemmStageBytes(tileM, tileN);
  static constexpr int steps = (K + 63) / 64;                              // of K, a stage each
  static constexpr int across = (N + tileN * share - 1) / (tileN * share); // clusters' widths in a row of y

  const TensorMap *xMap, *wMap;
  int M;

  unsigned char *ring; // stages of [tileN rows of w][tileM rows of x], 64 of K each
  float *staging, *receive, *squares;
  // Of the ring; of what other blocks send to this one; of this block's squares; and of the cluster's consumers, who
  // all have read what was sent and the squares: the next tile's may come. No warp is overtaken by a second phase of
  // `read` before it has seen the first, since its own block's consumers arrive there too, only then.
  Barrier *full, *empty, *received, *squared, *read;

  int rank, firstStep, endStep;     // in the cluster, and this block's part of K
  int tilesM, first, stride, count; // units of the cluster: first, first + stride, ... below count

  __device__ WgemmBlock(const TensorMap *xMap, const TensorMap *wMap, int M, unsigned char *shared)
      : xMap(xMap), wMap(wMap), M(M), ring(shared) {
    unsigned char *at = shared + stages * stageBytes;
    staging = reinterpret_cast<float *>(at);
    receive = reinterpret_cast<float *>(at += wgemmStagingBytes(tileM, tileN, split));
    squares = reinterpret_cast<float *>(at += wgemmReceiveBytes(tileM, tileN, split));
    full = reinterpret_cast<Barrier *>(at += wgemmSquaresBytes(tileM, split, norm));
    empty = full + stages;
    received = empty + stages;
    squared = received + 1;
    read = received + 2;
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
    initBarrier(squared, 3);
    initBarrier(read, 4 * warpgroups * split);
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
          await(empty + slot.stage, slot.parity ^ 1);
          fetchWeights(slot.stage, unit, step);
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

  // Sums of squares of the tile's tokens, 8 lanes a token, 16 bytes each; which 16 of a row's 128 a lane has, the
  // swizzle varies by p ^ (row % 8), and a butterfly over 8 lanes is blind to that. Without a split they become scales.
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
          if (i * 12 + 12 <= tileM || row < tileM) // only the last needs the check: the loads before it overlap
            sums[i] += gemvSquares(*reinterpret_cast<const uint4 *>(tokensOf(slot.stage) + row * 128 + lane % 8 * 16));
        }
        __syncwarp();
        release(slot.stage, lane);
      }
      if (made > 0)
        await(read, (made - 1) & 1);
      int mine = (warp - 1) * 4 + lane / 8;
      asm volatile("" : "+r"(mine)); // or all places below are worked out ahead, in more registers than there are
#pragma unroll
      for (int i = 0; i < held; ++i) {
        const float sum = groupSum<8>(sums[i]);
        const int row = i * 12 + mine, octet = row / 8;
        if (row >= tileM || lane % 8 != 0)
          continue;
        float *to = squares + (split > 1 ? (rank * owned + octet / split) * 8 + row % 8 : row);
        if (split > 1 && octet % split != rank)
          clusterStore<split>(to, octet % split, sum, received);
        else
          *to = sum;
      }
      __syncwarp();
      if (split == 1) { // nothing is missing
#pragma unroll 1
        for (int i = lane; i < held * 4; i += 32) {
          const int row = i / 4 * 12 + (warp - 1) * 4 + i % 4;
          if (row < tileM)
            squares[row] = gemvScale(squares[row], K);
        }
        __syncwarp();
      }
      if (lane == 0)
        arrive(squared);
    }
  }
};
