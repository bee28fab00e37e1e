// The keys of attention_prefill (attention_prefill/kernel.cuh): which tiles of them a block of queries needs, and their
// way to shared memory. attention_mma has its own way, for the same tiles and reaches.
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
// Tiles of one item after another go through the same stages, so that the next item's first keys and queries are there
// before this one is done.
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

// How a query sees its keys: those of row `row`, which has `start` older ones, from position `oldest` on; within the
// chunk from slot `low` to its own. Row -1: it sees nothing.
struct __align__(16) QueryReach {
  int row, start, oldest, low;
};
__device__ inline QueryReach reachOf(int row, int position, int start, int window, int slot) {
  if (row < 0)
    return {-1, 0, 0, 0};
  return {row, start, max(0, position - window), max(0, slot - max(0, min(position - start, window)))};
}
__device__ inline QueryReach reachOf(const int *rows, const int *positions, const int *starts, int window, int n,
                                     int slot) {
  const int row = slot < n ? rows[slot] : -1;
  return reachOf(row, row < 0 ? 0 : positions[slot], row < 0 ? 0 : starts[row], window, slot);
}

// Tiles are cut into pieces of 64 columns (32 if D is not a multiple of 64), all rows of a piece one behind the other,
// their 16-byte parts permuted by the swizzle of as many bytes as a row has.
template <int D, int tileQ, int tileK, int stages> struct PrefillShared {
  static constexpr int width = D % 64 == 0 ? 64 : 32, pieces = D / width, rowBytes = 2 * width;
  static constexpr int queryPiece = tileQ * rowBytes, keyPiece = tileK * rowBytes;
  unsigned char queries[2][pieces * queryPiece], keys[stages][pieces * keyPiece], values[stages][pieces * keyPiece];
  QueryReach reach[2][tileQ];
  KeyTile tiles[stages];
  int items[stages]; // whose tiles they are
  Barrier queriesFull[2], queriesEmpty[2], reachFull[2], keysFull[stages], keysEmpty[stages], valuesFull[stages],
      valuesEmpty[stages];
  Barrier landed;    // values that have to be cleaned
  unsigned landings; // the phase of `landed`; here because the producer has few registers
};

// An item is a tile of queries of one head. Heads that share a kv head are neighbours; the last queries of a prompt,
// which see the most keys, come before its first ones, so that the last items to be done are short.
template <int heads, int tileQ> struct PrefillItem {
  int head, firstQuery;
  __device__ PrefillItem(int item, int n)
      : head(item % heads), firstQuery(((n + tileQ - 1) / tileQ - 1 - item / heads) * tileQ) {}
};

// The producer warp: all tiles of all items that this block takes, the first by its number, others by ticket.
template <int heads, int kvHeads, int ring, int D, int tileQ, int tileK, int stages>
__device__ inline void prefillProduce(PrefillShared<D, tileQ, tileK, stages> &shared, const int *rows,
                                      const int *positions, const int *starts, unsigned *counter, int window, int n,
                                      const TensorMap *queryMap, const TensorMap *keyMap, const TensorMap *valueMap,
                                      const TensorMap *ringMap) {
  using Shared = PrefillShared<D, tileQ, tileK, stages>;
  const int lane = threadIdx.x % 32, items = (n + tileQ - 1) / tileQ * heads;
  int item = blockIdx.x, g = 0;

  // Key (part 0) or value (part 1) of all slots of a tile.
  auto copy = [&](unsigned char *to, const KeyTile &tile, int part, int head, Barrier *barrier) {
    const bool chunk = tile.row == inChunk;
    const TensorMap *map = chunk ? part == 0 ? keyMap : valueMap : ringMap;
    const int plane = (tile.row * 2 + part) * kvHeads + head;
    const int c1 = chunk ? head : tile.first, c2 = chunk ? tile.first : plane;
    arriveExpect(barrier, Shared::pieces * Shared::keyPiece);
#pragma unroll
    for (int piece = 0; piece < Shared::pieces; ++piece)
      copyTile(to + piece * Shared::keyPiece, map, barrier, piece * Shared::width, c1, c2);
  };

  int use = 0; // of the stages so far; the values of the newest are still to be copied
  KeyTile newest = {};
  int newestHead = 0;
  unsigned empty = 0; // bit i of `empty`: row i * 32 + lane of `newest` holds no key of anybody
  auto copyValues = [&] {
    const int stage = (use - 1) % stages;
    await(&shared.valuesEmpty[stage], ((use - 1) / stages & 1) ^ 1);
    const bool clean = !__any_sync(0xffffffffu, empty != 0);
    if (lane == 0)
      copy(shared.values[stage], newest, 1, newestHead, clean ? &shared.valuesFull[stage] : &shared.landed);
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
    if (use >= stages)
      await(&shared.keysEmpty[stage], (use / stages & 1) ^ 1);
    if (lane == 0) {
      shared.tiles[stage] = tile;
      shared.items[stage] = item;
      copy(shared.keys[stage], tile, 0, g, &shared.keysFull[stage]);
    }
    if (use > 0)
      copyValues();
    ++use;
    newest = tile;
    newestHead = g;
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

#pragma unroll 1
  for (int round = 0; item < items; ++round) {
    const int half = round % 2;
    const PrefillItem<heads, tileQ> it(item, n);
    g = it.head / (heads / kvHeads);
    int row[tileQ / 32], position[tileQ / 32]; // on their way while the first copies are started
#pragma unroll
    for (int i = 0; i < tileQ / 32; ++i) {
      const int slot = it.firstQuery + i * 32 + lane;
      row[i] = slot < n ? rows[slot] : -1;
      position[i] = slot < n ? positions[slot] : 0;
    }
    if (round > 1)
      await(&shared.queriesEmpty[half], (round / 2 & 1) ^ 1);
    if (lane == 0) {
      arriveExpect(&shared.queriesFull[half], sizeof shared.queries[half]);
#pragma unroll
      for (int piece = 0; piece < Shared::pieces; ++piece)
        copyTile(shared.queries[half] + piece * Shared::queryPiece, queryMap, &shared.queriesFull[half],
                 piece * Shared::width, it.head, it.firstQuery);
    }

    // The chunk, down to the first slot that any query sees: known once the first tile is under way.
    constexpr int unknown = 0x7fffffff;
    constexpr unsigned undrawn = ~0u;
    int first = min(it.firstQuery + tileQ, n), lowest = unknown;
    bool older = false; // some query sees keys in a ring
    unsigned ticket =
        static_cast<int>(gridDim.x) == items ? items : undrawn; // of the next item; none if every item has its block
#pragma unroll 1
    do {
      first -= tileK;
      visit({first, inChunk, 0, 0}, 0);
      if (lowest == unknown) {
        lowest = it.firstQuery;
#pragma unroll
        for (int i = 0; i < tileQ / 32; ++i) {
          const int start = row[i] < 0 ? 0 : starts[row[i]];
          const QueryReach reach = reachOf(row[i], position[i], start, window, it.firstQuery + i * 32 + lane);
          shared.reach[half][i * 32 + lane] = reach;
          if (reach.row < 0)
            continue;
          lowest = min(lowest, reach.low);
          older = older || reach.oldest < reach.start;
        }
        older = __any_sync(0xffffffffu, older);
        lowest = __reduce_min_sync(0xffffffffu, lowest);
        __syncwarp();
        if (lane == 0)
          arrive(&shared.reachFull[half]);
      }
      // Late, by when it shows which blocks are done first, and before the wait for the last tile's place.
      if (lane == 0 && ticket == undrawn && first - tileK <= lowest)
        ticket = takeNumber(counter);
    } while (first > lowest);

    // The rings of the rows that have older keys within reach; the first query of a row reaches furthest.
#pragma unroll 1
    for (int i = 0; older && i < tileQ; i += 32) {
      const QueryReach mine = shared.reach[half][i + lane];
      const bool begins = mine.row >= 0 && (i + lane == 0 || shared.reach[half][i + lane - 1].row != mine.row);
#pragma unroll 1
      for (unsigned left = __ballot_sync(0xffffffffu, begins && mine.oldest < mine.start); left != 0;
           left &= left - 1) {
        const QueryReach reach = shared.reach[half][i + __ffs(static_cast<int>(left)) - 1];
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

    // Every item but a block's first has a ticket, and every block draws one in vain: as many as there are items.
    if (lane == 0 && static_cast<int>(ticket) == items - 1)
      *counter = 0;
    item = gridDim.x + __shfl_sync(0xffffffffu, static_cast<int>(ticket), 0);
  }

  copyValues();
  await(&shared.keysEmpty[use % stages], (use / stages & 1) ^ 1);
  if (lane == 0) {
    shared.tiles[use % stages].row = noMoreTiles;
    arrive(&shared.keysFull[use % stages]);
  }
}
