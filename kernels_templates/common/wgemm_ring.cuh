// The half of wgemm.cuh that feeds: which tiles a block makes, where things lie in its shared memory, the ring of
// stages and the sums of squares.

// A format of the operands x and w: what the templates need of it besides the size of an element, since all else counts
// the bytes of rows.
template <typename T> struct WgemmFormat;
template <> struct WgemmFormat<bf16> {
  static constexpr int k = 16; // of K, an instruction: 32 bytes of a row, as in every format
  template <int count> __device__ static void multiply(float (&d)[count], Matrix a, Matrix b, bool add) {
    multiplyBf16(d, a, b, add);
  }
  // Of 16 bytes of x, summed, for the norm.
  __device__ static float squares(uint4 x) { return gemvSquares(x); }
};

constexpr int wgemmRow = 128;  // bytes of a row of x or w in a stage: the swizzle's
constexpr int wgemmPitch = 68; // floats of a token in the staging tile: 2 * 68 = 8 mod 32 banks, see stage()

__host__ __device__ constexpr int wgemmOctets(int tileM, int split) { // that a block owns at most
  return (tileM / 8 + split - 1) / split;
}
// Of a round of the epilogue; a third of an SM's threads has no registers for the operands of more.
__host__ __device__ constexpr int wgemmRound(int tileM, int tileN, int split) {
  return least(tileN == 192 ? 2 : 4, wgemmOctets(tileM, split));
}
// Keep in step with common/wgemm.h: the ring, staging tiles of up to 32 tokens, what other blocks send, squares.
__host__ __device__ constexpr int wgemmStageBytes(int tileM, int tileN) { return (tileM + tileN) * wgemmRow; }
__host__ __device__ constexpr int wgemmStagingBytes(int tileM, int tileN, int split) {
  return tileN / 64 * 8 * wgemmRound(tileM, tileN, split) * wgemmPitch * 4;
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

template <typename T, int K, int N, int tileM, int tileN, int stages, int split, int share, bool norm>
struct WgemmBlock {
  static constexpr int warpgroups = tileN / 64, consumers = 128 * warpgroups, cluster = split * share;
  static constexpr int octets = tileM / 8, owned = wgemmOctets(tileM, split);
  static constexpr int stageBytes = wgemmStageBytes(tileM, tileN);
  static constexpr int depth = wgemmRow / static_cast<int>(sizeof(T));     // of K, in a stage
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
  __device__ unsigned char *tokensOf(int stage) const { return ring + stage * stageBytes + tileN * wgemmRow; }

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
      copyTileToAll(tokensOf(stage) + rank * part * wgemmRow, xMap, full + stage, step * depth, token + rank * part,
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
            tokens + (i * 12 + 12 <= rows ? i * 12 + first : least(i * 12 + first, rows - 1)) * wgemmRow);
      __syncwarp(); // keeps the loads together: one at a time, each waited for, would take longer than the products
#pragma unroll
      for (int i = start; i < held && i < start + batch; ++i)
        sums[i] += WgemmFormat<T>::squares(pieces[i - start]);
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
          addSquares(sums, tokensOf(slot.stage) + firstRow * wgemmRow, mine);
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
          clusterStore<share>(squares + firstRow + row, lane % 8, gemvScale(sum, K), squared);
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
