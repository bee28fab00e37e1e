// attention_prefill<T, heads, kv_heads, D, ring, tile_q, tile_k, stages>: what attention computes (for scale > 0;
// attention/kernel.cuh) on Hopper's warpgroup products. A block takes tile_q neighbouring token slots of one head, 64
// for each of its consumer warpgroups, and walks over tiles of tile_k keys that one producer warp copies to shared
// memory `stages` deep, keys and values apart. Per tile a consumer has scores S = Q K^T, weights P = 2^(S - the row's
// top so far) in bf16, and out = out * shrink + P V, sums in f32. The scores of the next tile are computed while the
// weights of this one are multiplied by its values; consumers take turns in issuing products, so that one's
// exponentials run under the other's products. Which tiles of keys there are, what a query sees of them and what must
// not reach a product: common/prefill_keys.cuh.

// The descriptor of a piece: 8 rows are 8 * rowBytes; `next` bytes to the next piece of columns where they are N.
template <int rowBytes> __device__ inline Matrix prefillMatrix(const void *piece, int next) {
  constexpr Matrix eightRows = 8 * rowBytes / 16, swizzle = rowBytes == 128 ? 1 : 2;
  return static_cast<Matrix>((sharedAddress(piece) & 0x3ffff) >> 4) | static_cast<Matrix>(next >> 4) << 16 |
         eightRows << 32 | swizzle << 62;
}

// A consumer warpgroup: queries `group` * 64 and on of those from slot `firstQuery` on.
template <int heads, int D, int tileQ, int tileK, int stages>
__device__ inline void prefillConsume(PrefillShared<D, tileQ, tileK, stages> &shared, const int *rows,
                                      const int *positions, const int *starts, bf16 *y, int window, float scale, int n,
                                      int firstQuery, int head, int group) {
  using Shared = PrefillShared<D, tileQ, tileK, stages>;
  constexpr int groups = tileQ / 64, rowBytes = Shared::rowBytes, width = Shared::width;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
  const Matrix queries = prefillMatrix<rowBytes>(shared.queries + group * 64 * rowBytes, 16);
  const Matrix keys = prefillMatrix<rowBytes>(shared.keys, 16);
  const Matrix values = prefillMatrix<rowBytes>(shared.values, Shared::keyPiece);
  const float slope = scale * 1.44269504f; // scores to powers of two

  const int inTile = threadIdx.x - 128;
  if (inTile < tileQ)
    shared.reach[inTile] = reachOf(rows, positions, starts, window, n, firstQuery + inTile);
  __syncwarp();
  groupBarrier<reachThreads<tileQ>>(reachBarrier);
  // A thread has parts of two rows: columns 8 j + 2 (lane % 4) + {0, 1} of row lane / 4 and of the 8th after it.
  QueryReach reach[2];
  int slots[2];
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const int row = group * 64 + warp * 16 + lane / 4 + i * 8;
    reach[i] = shared.reach[row];
    slots[i] = firstQuery + row;
  }

  float scores[tileK / 2], out[D / 2] = {}, tops[2] = {-infinity(), -infinity()}, sums[2] = {}, shrink[2];
  unsigned weights[tileK / 16][4] = {};

  auto startScores = [&](int use) {
    const Matrix tile = keys + use % stages * (Shared::pieces * Shared::keyPiece / 16);
    pinSums(scores);
    beginProducts();
#pragma unroll
    for (int k = 0; k < D; k += 16)
      multiply(scores, queries + (k / width * Shared::queryPiece + k % width * 2) / 16,
               tile + (k / width * Shared::keyPiece + k % width * 2) / 16, k > 0);
    endProducts();
  };
  auto startOut = [&](int use) {
    const Matrix tile = values + use % stages * (Shared::pieces * Shared::keyPiece / 16);
    pinSums(out);
    beginProducts();
#pragma unroll
    for (int k = 0; k < tileK; k += 16)
      multiply<true>(out, weights[k / 16], tile + k * rowBytes / 16, true);
    endProducts();
  };
  auto release = [&](Barrier *barrier) {
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
      high[i] = tile.row == inChunk ? slots[i] : tile.row == reach[i].row ? tile.end : -1;
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

  await(&shared.queriesFull, 0);
  await(&shared.keysFull[0], 0);
  KeyTile tile = shared.tiles[0];
  startScores(0);
  awaitProducts<0>();
  pinSums(scores);
  release(&shared.keysEmpty[0]);
  mask(tile);
  weigh();

  if (groups > 1 && group == groups - 1)
    passBarrier<256>(1); // the first turn is the first group's
  // Each round ends with scores turned to weights, while the products with the weights before may still run: their end
  // is awaited at the head of the next round, where the compiler cannot move it to before the exponentials.
  int use = 1;
#pragma unroll 1
  for (;; ++use) {
    awaitProducts<0>();
    pinSums(out);
#pragma unroll
    for (int k = 0; k < tileK / 16; ++k)
#pragma unroll
      for (int part = 0; part < 4; ++part)
        asm volatile("" : "+r"(weights[k][part])::"memory"); // the products have read them until here
    if (use > 1)
      release(&shared.valuesEmpty[(use - 2) % stages]);
#pragma unroll
    for (int j = 0; j < D / 2; ++j)
      out[j] *= shrink[j / 2 % 2];
    packWeights();

    const int stage = use % stages, before = (use - 1) % stages;
    await(&shared.keysFull[stage], use / stages & 1);
    tile = shared.tiles[stage];
    if (tile.row == noMoreTiles)
      break;
    if (groups > 1)
      groupBarrier<256>(1 + group);
    startScores(use);
    await(&shared.valuesFull[before], (use - 1) / stages & 1);
    startOut(use - 1);
    if (groups > 1)
      passBarrier<256>(1 + (group + 1) % groups);
    awaitProducts<1>();
    pinSums(scores);
    release(&shared.keysEmpty[stage]);
    mask(tile);
    weigh();
    pinSums(scores);
  }
  await(&shared.valuesFull[(use - 1) % stages], (use - 1) / stages & 1);
  startOut(use - 1);
  if (groups > 1 && group == 0)
    groupBarrier<256>(1); // takes the last turn, so that none is left over
  awaitProducts<0>();
  pinSums(out);

  // The four lanes of a row exchange columns, so that each has 8 neighbours of every 32.
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float sum = groupSum<4>(sums[i]), share = 1 / sum;
    const bool live = reach[i].row >= 0, odd = lane & 1, high = lane & 2;
#pragma unroll
    for (int j = 0; j < D / 8; j += 4) {
      unsigned word[4];
#pragma unroll
      for (int l = 0; l < 4; ++l)
        word[l] = live ? packBf16(out[(j + l) * 4 + i * 2] * share, out[(j + l) * 4 + i * 2 + 1] * share) : 0;
      // First in pairs of lanes, an odd lane giving up columns j and j + 2, then across the pairs.
      const unsigned a = __shfl_xor_sync(0xffffffffu, odd ? word[0] : word[1], 1);
      const unsigned b = __shfl_xor_sync(0xffffffffu, odd ? word[2] : word[3], 1);
      const unsigned front[2] = {odd ? a : word[0], odd ? word[1] : a};
      const unsigned back[2] = {odd ? b : word[2], odd ? word[3] : b};
      const unsigned c = __shfl_xor_sync(0xffffffffu, high ? front[0] : back[0], 2);
      const unsigned d = __shfl_xor_sync(0xffffffffu, high ? front[1] : back[1], 2);
      if (slots[i] < n)
        *reinterpret_cast<uint4 *>(y + (static_cast<long long>(slots[i]) * heads + head) * D + (j + lane % 4) * 8) =
            high ? make_uint4(c, d, back[0], back[1]) : make_uint4(front[0], front[1], c, d);
    }
  }
}

template <typename T, int heads, int kv_heads, int D, int ring, int tile_q, int tile_k, int stages>
__device__ void attention_prefill(const T *, const T *, const T *, const T *, const int *rows, const int *positions,
                                  const int *starts, T *y, int window, float scale, int n, const TensorMap *q_map,
                                  const TensorMap *k_map, const TensorMap *v_map, const TensorMap *kv_map) {
  constexpr int groups = tile_q / 64;
  // Registers of a thread: of 65,536 for one block of 384 or 512 threads, or for two of 256.
  constexpr int producerRegisters = groups == 3 ? 32 : 40, consumerRegisters = groups == 1   ? 216
                                                                               : groups == 2 ? 232
                                                                                             : 160;
  extern __shared__ __align__(1024) unsigned char prefillShared[];
  auto &shared = *reinterpret_cast<PrefillShared<D, tile_q, tile_k, stages> *>(prefillShared);

  // Heads that share a kv head are neighbours; causal tiles with the most keys come first, so that the last ones to run
  // are short.
  const int tiles = (n + tile_q - 1) / tile_q;
  const int head = static_cast<int>(blockIdx.x) % heads,
            firstQuery = (tiles - 1 - static_cast<int>(blockIdx.x) / heads) * tile_q;

  if (threadIdx.x == 0) {
    prefetchMap(q_map);
    prefetchMap(k_map);
    prefetchMap(v_map);
    prefetchMap(kv_map);
    initBarrier(&shared.queriesFull, 1);
    initBarrier(&shared.landed, 1);
    shared.landings = 0;
    for (int stage = 0; stage < stages; ++stage) {
      initBarrier(&shared.keysFull[stage], 1);
      initBarrier(&shared.valuesFull[stage], 1);
      initBarrier(&shared.keysEmpty[stage], groups * 4); // a warp each
      initBarrier(&shared.valuesEmpty[stage], groups * 4);
    }
    publishBarriers();
  }
  __syncthreads();
  startConsumers();
  awaitProducers();
  if (firstQuery < 0)
    return; // n = 0

  if (threadIdx.x < 128) {
    shrinkRegisters<producerRegisters>();
    if (threadIdx.x < 32)
      prefillProduce<kv_heads, ring>(shared, rows, window, n, firstQuery, head, head / (heads / kv_heads), q_map, k_map,
                                     v_map, kv_map);
  } else {
    growRegisters<consumerRegisters>();
    const int group = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 128 - 1, 0);
    prefillConsume<heads>(shared, rows, positions, starts, y, window, scale, n, firstQuery, head, group);
  }
}
