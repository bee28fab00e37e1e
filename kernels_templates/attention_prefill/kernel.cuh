// attention_prefill<T, heads, kv_heads, D, ring, tile_q, tile_k, stages>: what attention computes
// (attention/kernel.cuh), on Hopper's warpgroup products. A block takes tile_q neighbouring token slots of one head, 64
// for each of its consumer warpgroups, and walks over tiles of tile_k keys that one producer warp copies to shared
// memory `stages` deep, keys and values apart. Per tile a consumer has scores S = Q K^T, weights P = 2^(S - the row's
// top so far) in bf16, and out = out * shrink + P V, sums in f32. The scores of the next tile are computed while the
// weights of this one are multiplied by its values; consumers take turns in issuing products, so that one's
// exponentials run under the other's products.
//
// Visible keys. The tokens of a row are neighbouring slots in order of position, so within the chunk a query at slot t
// sees the slots [t - min(position - start, window), t]: one interval, which covers causality, window and prompts end
// to end. Older keys lie in the row's ring, position j at slot j % ring: at most two pieces in which position - slot is
// a constant, the newer one [0, (start - 1) % ring] and, once the ring has wrapped, the older one behind it. In each a
// query of that row again sees one interval. So a tile of keys is a place and a shift (KeyTile), and a row of scores is
// masked by two bounds. The producer alone decides which tiles there are.
//
// The walk goes from the newest key to the oldest: slots of the chunk downwards, then ring by ring, in tiles that end
// with the last query or with a piece's last slot. The first copy so depends on nothing that has to be read; and the
// order is fixed, so the same inputs give the same bits.
//
// Slots that hold no key of anybody (padding, a ring's slots never written) may hold NaN. In K that only makes scores
// that are masked. In V it would not be harmless: a weight of 0 times NaN is NaN. The producer therefore clears such
// rows of V in shared memory before it hands the tile on. Rows of Q that are padding spoil nothing but themselves, and
// give zeros. Slots of other rows that do hold keys count with weight 0, and are taken to be finite.

// Position - slot is `shift` and `end` the last slot of a tile of row `row`'s ring; row inChunk: of the chunk's slots.
struct __align__(16) KeyTile {
  int first, row, shift, end;
};
constexpr int inChunk = -1, noMoreTiles = -2;

// Tiles are cut into pieces of 64 columns (32 if D is not a multiple of 64), all rows of a piece one behind the other,
// their 16-byte parts permuted by the swizzle of as many bytes as a row has.
template <int D, int tileQ, int tileK, int stages> struct PrefillShared {
  static constexpr int width = D % 64 == 0 ? 64 : 32, pieces = D / width, rowBytes = 2 * width;
  static constexpr int queryPiece = tileQ * rowBytes, keyPiece = tileK * rowBytes;
  unsigned char queries[pieces * queryPiece], keys[stages][pieces * keyPiece], values[stages][pieces * keyPiece];
  KeyTile tiles[stages];
  Barrier queriesFull, keysFull[stages], keysEmpty[stages], valuesFull[stages], valuesEmpty[stages];
  Barrier landed;    // values that have to be cleaned
  unsigned landings; // the phase of `landed`; here because the producer has few registers
};

// The descriptor of a piece: 8 rows are 8 * rowBytes; `next` bytes to the next piece of columns where they are N.
template <int rowBytes> __device__ inline Matrix prefillMatrix(const void *piece, int next) {
  constexpr Matrix eightRows = 8 * rowBytes / 16, swizzle = rowBytes == 128 ? 1 : 2;
  return static_cast<Matrix>((sharedAddress(piece) & 0x3ffff) >> 4) | static_cast<Matrix>(next >> 4) << 16 |
         eightRows << 32 | swizzle << 62;
}

__device__ inline float exp2Fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ inline unsigned packBf16(float low, float high) {
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

// The other half of groupBarrier<256>(): lets a warpgroup go on without waiting for it.
__device__ inline void passTurn(int id) { asm volatile("bar.arrive %0, 256;" ::"r"(id) : "memory"); }

// How a query sees its keys: those of its row from position `oldest` on; within the chunk slots [low, slot].
struct QueryReach {
  int row, oldest, low, slot;
};
__device__ inline QueryReach reachOf(const int *rows, const int *positions, const int *starts, int window, int n,
                                     int slot) {
  QueryReach reach = {-1, 0, 0, slot};
  if (slot < n && (reach.row = rows[slot]) >= 0) {
    const int position = positions[slot];
    reach.oldest = max(0, position - window);
    reach.low = max(0, slot - max(0, min(position - starts[reach.row], window)));
  }
  return reach;
}

// The producer warp: all tiles of queries [firstQuery, firstQuery + tileQ) of a head of kv head `g`.
template <int kvHeads, int ring, int D, int tileQ, int tileK, int stages>
__device__ inline void prefillProduce(PrefillShared<D, tileQ, tileK, stages> &shared, const int *rows,
                                      const int *positions, const int *starts, int window, int n, int firstQuery,
                                      int head, int g, const TensorMap *queryMap, const TensorMap *keyMap,
                                      const TensorMap *valueMap, const TensorMap *ringMap) {
  using Shared = PrefillShared<D, tileQ, tileK, stages>;
  const int lane = threadIdx.x % 32;

  if (lane == 0) {
    arriveExpect(&shared.queriesFull, sizeof shared.queries);
#pragma unroll
    for (int piece = 0; piece < Shared::pieces; ++piece)
      copyTile(shared.queries + piece * Shared::queryPiece, queryMap, &shared.queriesFull, piece * Shared::width, head,
               firstQuery);
  }

  // Key (part 0) or value (part 1) of all slots of a tile.
  auto copy = [&](unsigned char *to, const KeyTile &tile, int part, Barrier *barrier) {
    const bool chunk = tile.row == inChunk;
    const TensorMap *map = chunk ? part == 0 ? keyMap : valueMap : ringMap;
    const int plane = (tile.row * 2 + part) * kvHeads + g;
    const int c1 = chunk ? g : tile.first, c2 = chunk ? tile.first : plane;
    arriveExpect(barrier, Shared::pieces * Shared::keyPiece);
#pragma unroll
    for (int piece = 0; piece < Shared::pieces; ++piece)
      copyTile(to + piece * Shared::keyPiece, map, barrier, piece * Shared::width, c1, c2);
  };

  int use = 0; // of the stages so far; the values of the newest are still to be copied
  KeyTile newest = {};
  unsigned empty = 0; // bit i of `empty`: row i * 32 + lane of `newest` holds no key of anybody
  auto copyValues = [&] {
    const int stage = (use - 1) % stages;
    await(&shared.valuesEmpty[stage], ((use - 1) / stages & 1) ^ 1);
    const bool clean = !__any_sync(0xffffffffu, empty != 0);
    if (lane == 0)
      copy(shared.values[stage], newest, 1, clean ? &shared.valuesFull[stage] : &shared.landed);
    if (clean)
      return;
    await(&shared.landed, shared.landings);
    // A lane clears a row; the lanes begin at different 16 bytes, for the sake of the banks. The swizzle stays within a
    // row, so it does not matter here.
    for (unsigned left = empty; left != 0; left &= left - 1) {
      const int row = (__ffs(static_cast<int>(left)) - 1) * 32 + lane;
#pragma unroll 1
      for (int i = 0; i < D / 8; ++i) {
        const int at = (i + lane) % (D / 8) * 16; // in bytes of the row of all pieces
        *reinterpret_cast<uint4 *>(shared.values[stage] + at / Shared::rowBytes * Shared::keyPiece +
                                   row * Shared::rowBytes + at % Shared::rowBytes) = make_uint4(0, 0, 0, 0);
      }
    }
    publishToAsync();
    __syncwarp();
    if (lane == 0) {
      arrive(&shared.valuesFull[stage]);
      shared.landings ^= 1;
    }
    __syncwarp();
  };
  // The keys of a tile, then the values of the one before: consumers need them in this order. Slots of a ring before
  // `written` hold nothing.
  auto visit = [&](const KeyTile &tile, int written) {
    const int stage = use % stages;
    await(&shared.keysEmpty[stage], (use / stages & 1) ^ 1);
    if (lane == 0) {
      shared.tiles[stage] = tile;
      copy(shared.keys[stage], tile, 0, &shared.keysFull[stage]);
    }
    if (use > 0)
      copyValues();
    ++use;
    newest = tile;
    empty = 0;
#pragma unroll
    for (int i = 0; i < (tileK + 31) / 32; ++i) {
      const int slot = tile.first + i * 32 + lane;
      const bool none =
          tile.row == inChunk ? slot >= 0 && slot < n && rows[slot] < 0 : slot < written || slot > tile.end;
      if (none && i * 32 + lane < tileK)
        empty |= 1u << i;
    }
  };

  // The chunk, down to the first slot that any query sees: known once the first tile is under way.
  int first = min(firstQuery + tileQ, n), lowest = firstQuery;
  bool older = false; // some query sees keys in a ring
#pragma unroll 1
  do {
    first -= tileK;
    visit({first, inChunk, 0, 0}, 0);
    if (use > 1)
      continue;
#pragma unroll 1
    for (int i = 0; i < tileQ / 32; ++i) {
      const int slot = firstQuery + i * 32 + lane;
      const QueryReach reach = reachOf(rows, positions, starts, window, n, slot);
      if (reach.row < 0)
        continue;
      lowest = min(lowest, reach.low);
      older = older || reach.oldest < starts[reach.row];
    }
    older = __any_sync(0xffffffffu, older);
    lowest = __reduce_min_sync(0xffffffffu, lowest);
  } while (first > lowest);

  // The rings of the rows that have older keys within reach; the first query of a row reaches furthest.
#pragma unroll 1
  for (int i = 0; older && i < tileQ; i += 32) {
    const QueryReach reach = reachOf(rows, positions, starts, window, n, firstQuery + i + lane);
    const bool begins = reach.row >= 0 && (i + lane == 0 || rows[reach.slot - 1] != reach.row);
#pragma unroll 1
    for (unsigned left = __ballot_sync(0xffffffffu, begins && reach.oldest < starts[reach.row]); left != 0;
         left &= left - 1) {
      const int slot = firstQuery + i + __ffs(static_cast<int>(left)) - 1;
      const int row = rows[slot], start = starts[row], oldest = max(0, positions[slot] - window);
      const int written = max(0, start - window); // older positions need not be there
      int end = (start - 1) % ring, shift = start - 1 - end;
#pragma unroll 1
      for (int piece = 0; piece < 2; ++piece) {
        const int until = max(0, oldest - shift);
#pragma unroll 1
        for (first = end + 1; first > until;) {
          first -= tileK;
          visit({first, row, shift, end}, written - shift);
        }
        if (oldest >= shift)
          break; // the older piece, if there is one, is out of reach
        end = ring - 1;
        shift -= ring;
      }
    }
  }

  copyValues();
  await(&shared.keysEmpty[use % stages], (use / stages & 1) ^ 1);
  if (lane == 0) {
    shared.tiles[use % stages].row = noMoreTiles;
    arrive(&shared.keysFull[use % stages]);
  }
}

// A consumer warpgroup: 64 queries from slot `firstSlot` on, rows `group` * 64 and on of the tile.
template <int heads, int D, int tileQ, int tileK, int stages>
__device__ inline void prefillConsume(PrefillShared<D, tileQ, tileK, stages> &shared, const int *rows,
                                      const int *positions, const int *starts, bf16 *y, int window, float scale, int n,
                                      int firstSlot, int head, int group) {
  using Shared = PrefillShared<D, tileQ, tileK, stages>;
  constexpr int groups = tileQ / 64, rowBytes = Shared::rowBytes, width = Shared::width;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
  const Matrix queries = prefillMatrix<rowBytes>(shared.queries + group * 64 * rowBytes, 16);
  const Matrix keys = prefillMatrix<rowBytes>(shared.keys, 16);
  const Matrix values = prefillMatrix<rowBytes>(shared.values, Shared::keyPiece);
  const float slope = scale * 1.44269504f; // scores to powers of two

  // A thread has parts of two rows: columns 8 j + 2 (lane % 4) + {0, 1} of row lane / 4 and of the 8th after it.
  QueryReach reach[2];
#pragma unroll
  for (int i = 0; i < 2; ++i)
    reach[i] = reachOf(rows, positions, starts, window, n, firstSlot + warp * 16 + lane / 4 + i * 8);

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
      high[i] = tile.row == inChunk ? reach[i].slot : tile.row == reach[i].row ? tile.end : -1;
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
    passTurn(1); // the first turn is the first group's
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
      passTurn(1 + (group + 1) % groups);
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
      if (reach[i].slot < n)
        *reinterpret_cast<uint4 *>(y + (static_cast<long long>(reach[i].slot) * heads + head) * D +
                                   (j + lane % 4) * 8) =
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
      prefillProduce<kv_heads, ring>(shared, rows, positions, starts, window, n, firstQuery, head,
                                     head / (heads / kv_heads), q_map, k_map, v_map, kv_map);
  } else {
    growRegisters<consumerRegisters>();
    const int group = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 128 - 1, 0);
    prefillConsume<heads>(shared, rows, positions, starts, y, window, scale, n, firstQuery + group * 64, head, group);
  }
}
