// The keys of attention_prefill (attention_prefill/kernel.cuh): which tiles of them a block of queries needs, and their
// way to shared memory. Only that kernel instantiates this.
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

// Where the producer warp waits for the reach of the queries, which the consumers read.
constexpr int reachBarrier = 4;
template <int tileQ> constexpr int reachThreads = 32 + 2 * tileQ;

// How a query sees its keys: those of row `row`, which has `start` older ones, from position `oldest` on; within the
// chunk from slot `low` to its own. Row -1: it sees nothing.
struct __align__(16) QueryReach {
  int row, start, oldest, low;
};
__device__ inline QueryReach reachOf(const int *rows, const int *positions, const int *starts, int window, int n,
                                     int slot) {
  const int row = slot < n ? rows[slot] : -1;
  if (row < 0)
    return {-1, 0, 0, 0};
  const int position = positions[slot], start = starts[row];
  return {row, start, max(0, position - window), max(0, slot - max(0, min(position - start, window)))};
}

// Tiles are cut into pieces of 64 columns (32 if D is not a multiple of 64), all rows of a piece one behind the other,
// their 16-byte parts permuted by the swizzle of as many bytes as a row has.
template <int D, int tileQ, int tileK, int stages> struct PrefillShared {
  static constexpr int width = D % 64 == 0 ? 64 : 32, pieces = D / width, rowBytes = 2 * width;
  static constexpr int queryPiece = tileQ * rowBytes, keyPiece = tileK * rowBytes;
  unsigned char queries[pieces * queryPiece], keys[stages][pieces * keyPiece], values[stages][pieces * keyPiece];
  QueryReach reach[tileQ];
  KeyTile tiles[stages];
  Barrier queriesFull, keysFull[stages], keysEmpty[stages], valuesFull[stages], valuesEmpty[stages];
  Barrier landed;    // values that have to be cleaned
  unsigned landings; // the phase of `landed`; here because the producer has few registers
};

// The producer warp: all tiles of queries [firstQuery, firstQuery + tileQ) of a head of kv head `g`.
template <int kvHeads, int ring, int D, int tileQ, int tileK, int stages>
__device__ inline void prefillProduce(PrefillShared<D, tileQ, tileK, stages> &shared, const int *rows, int window,
                                      int n, int firstQuery, int head, int g, const TensorMap *queryMap,
                                      const TensorMap *keyMap, const TensorMap *valueMap, const TensorMap *ringMap) {
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
    __syncwarp(); // a barrier is for whole warps, and one lane has been copying
    groupBarrier<reachThreads<tileQ>>(reachBarrier);
#pragma unroll 1
    for (int i = lane; i < tileQ; i += 32) {
      const QueryReach reach = shared.reach[i];
      if (reach.row < 0)
        continue;
      lowest = min(lowest, reach.low);
      older = older || reach.oldest < reach.start;
    }
    older = __any_sync(0xffffffffu, older);
    lowest = __reduce_min_sync(0xffffffffu, lowest);
  } while (first > lowest);

  // The rings of the rows that have older keys within reach; the first query of a row reaches furthest.
#pragma unroll 1
  for (int i = 0; older && i < tileQ; i += 32) {
    const QueryReach mine = shared.reach[i + lane];
    const bool begins = mine.row >= 0 && (i + lane == 0 || shared.reach[i + lane - 1].row != mine.row);
#pragma unroll 1
    for (unsigned left = __ballot_sync(0xffffffffu, begins && mine.oldest < mine.start); left != 0; left &= left - 1) {
      const QueryReach reach = shared.reach[i + __ffs(static_cast<int>(left)) - 1];
      const int row = reach.row, start = reach.start, oldest = reach.oldest;
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
