// The half of chunk_wgmma.cuh that feeds: a block's shared memory and the producer warp.
//
// Tiles of one item after another go through the same stages, so that the next item's first keys and queries are there
// before this one is done.

#pragma once

#include "kernels_templates/attention/chunk_keys.cuh"
#include "kernels_templates/attention/chunk_wgmma_layout.h"
#include "kernels_templates/device/launch.cuh"
#include "kernels_templates/device/mbarrier.cuh"
#include "kernels_templates/device/order.cuh"
#include "kernels_templates/device/tma.cuh"

template <int D, int tileQ, int tileK, int stages> struct ChunkWgmmaShared {
  using Layout = kernels::ChunkWgmmaLayout;
  static constexpr Layout layout = Layout(D, tileQ, tileK, stages);
  static_assert(sizeof(QueryReach) == Layout::record && sizeof(KeyTile) == Layout::record);

  unsigned char *base;

  __device__ unsigned char *queries(int half) const {
    return (*reinterpret_cast<unsigned char(*)[2][layout.queryBytes]>(base))[half];
  }
  __device__ unsigned char *keys(int stage) const {
    return (*reinterpret_cast<unsigned char(*)[stages][layout.tileBytes]>(base + layout.keys))[stage];
  }
  __device__ unsigned char *values(int stage) const {
    return (*reinterpret_cast<unsigned char(*)[stages][layout.tileBytes]>(base + layout.values))[stage];
  }
  __device__ QueryReach &reach(int half, int query) const {
    return (*reinterpret_cast<QueryReach(*)[2][tileQ]>(base + layout.reach))[half][query];
  }
  __device__ KeyTile &tile(int stage) const { return reinterpret_cast<KeyTile *>(base + layout.tiles)[stage]; }
  __device__ int &item(int stage) const { return reinterpret_cast<int *>(base + layout.items)[stage]; } // whose tile

  __device__ Barrier *barrier(int i) const { return reinterpret_cast<Barrier *>(base + layout.barriers) + i; }
  __device__ Barrier *queriesFull(int half) const { return barrier(half); }
  __device__ Barrier *queriesEmpty(int half) const { return barrier(2 + half); }
  __device__ Barrier *reachFull(int half) const { return barrier(4 + half); }
  __device__ Barrier *keysFull(int stage) const { return barrier(6 + stage); }
  __device__ Barrier *keysEmpty(int stage) const { return barrier(6 + stages + stage); }
  __device__ Barrier *valuesFull(int stage) const { return barrier(6 + 2 * stages + stage); }
  __device__ Barrier *valuesEmpty(int stage) const { return barrier(6 + 3 * stages + stage); }
  __device__ Barrier *landed() const { return barrier(6 + 4 * stages); } // values that have to be cleaned
  // Its phase; here because the producer has few registers.
  __device__ unsigned &landings() const { return *reinterpret_cast<unsigned *>(base + layout.landings); }
};

// The producer warp: all tiles of all items that this block takes, the first by its number, others by ticket.
template <int heads, int kvHeads, int ring, int D, int tileQ, int tileK, int stages>
__device__ inline void chunkWgmmaProduce(const Grid &grid, const ChunkWgmmaShared<D, tileQ, tileK, stages> &shared,
                                         const int *rows, const int *positions, const int *starts, unsigned *counter,
                                         int window, int n, const TensorMap *queryMap, const TensorMap *keyMap,
                                         const TensorMap *valueMap, const TensorMap *ringMap) {
  using Shared = ChunkWgmmaShared<D, tileQ, tileK, stages>;
  constexpr auto layout = Shared::layout;
  const int lane = threadIdx.x % 32, items = (n + tileQ - 1) / tileQ * heads;
  int item = grid.block, g = 0;

  // Key (part 0) or value (part 1) of all slots of a tile.
  auto copy = [&](unsigned char *to, const KeyTile &tile, int part, int head, Barrier *barrier) {
    const bool chunk = tile.row == inChunk;
    const TensorMap *map = chunk ? part == 0 ? keyMap : valueMap : ringMap;
    const int plane = (tile.row * 2 + part) * kvHeads + head;
    const int c1 = chunk ? head : tile.first, c2 = chunk ? tile.first : plane;
    arriveExpect(barrier, layout.pieces * layout.keyPiece);
#pragma unroll
    for (int piece = 0; piece < layout.pieces; ++piece)
      copyTile(to + piece * layout.keyPiece, map, barrier, piece * layout.width, c1, c2);
  };

  int use = 0; // of the stages so far; the values of the newest are still to be copied
  KeyTile newest = {};
  int newestHead = 0;
  unsigned empty = 0; // bit i of `empty`: row i * 32 + lane of `newest` holds no key of anybody
  auto copyValues = [&] {
    const int stage = (use - 1) % stages;
    await(shared.valuesEmpty(stage), ((use - 1) / stages & 1) ^ 1);
    const bool clean = !__any_sync(0xffffffffu, empty != 0);
    if (lane == 0)
      copy(shared.values(stage), newest, 1, newestHead, clean ? shared.valuesFull(stage) : shared.landed());
    if (clean)
      return;
    await(shared.landed(), shared.landings());
    // A lane clears a row; the lanes begin at different 16 bytes, for the sake of the banks. The swizzle stays within a
    // row, so it does not matter here.
    for (unsigned left = empty; left != 0; left &= left - 1) {
      const int row = (__ffs(static_cast<int>(left)) - 1) * 32 + lane;
#pragma unroll 1
      for (int i = 0; i < D / 8; ++i) {
        const int at = (i + lane) % (D / 8) * 16; // in bytes of the row of all pieces
        *reinterpret_cast<uint4 *>(shared.values(stage) + at / layout.rowBytes * layout.keyPiece +
                                   row * layout.rowBytes + at % layout.rowBytes) = make_uint4(0, 0, 0, 0);
      }
    }
    publishToAsync();
    __syncwarp();
    if (lane == 0) {
      arrive(shared.valuesFull(stage));
      shared.landings() ^= 1;
    }
    __syncwarp();
  };
  // The keys of a tile, then the values of the one before: consumers need them in this order. Slots of a ring before
  // `written` hold nothing.
  auto visit = [&](const KeyTile &tile, int written) {
    const int stage = use % stages;
    if (use >= stages)
      await(shared.keysEmpty(stage), (use / stages & 1) ^ 1);
    if (lane == 0) {
      shared.tile(stage) = tile;
      shared.item(stage) = item;
      copy(shared.keys(stage), tile, 0, g, shared.keysFull(stage));
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
    const ChunkItem<heads, tileQ> it(item, n);
    g = it.head / (heads / kvHeads);
    int row[tileQ / 32], position[tileQ / 32]; // on their way while the first copies are started
#pragma unroll
    for (int i = 0; i < tileQ / 32; ++i) {
      const int slot = it.firstQuery + i * 32 + lane;
      row[i] = slot < n ? rows[slot] : -1;
      position[i] = slot < n ? positions[slot] : 0;
    }
    if (round > 1)
      await(shared.queriesEmpty(half), (round / 2 & 1) ^ 1);
    if (lane == 0) {
      arriveExpect(shared.queriesFull(half), layout.queryBytes);
#pragma unroll
      for (int piece = 0; piece < layout.pieces; ++piece)
        copyTile(shared.queries(half) + piece * layout.queryPiece, queryMap, shared.queriesFull(half),
                 piece * layout.width, it.head, it.firstQuery);
    }

    // The chunk, down to the first slot that any query sees: known once the first tile is under way.
    constexpr int unknown = 0x7fffffff;
    constexpr unsigned undrawn = ~0u;
    int first = min(it.firstQuery + tileQ, n), lowest = unknown;
    bool older = false; // some query sees keys in a ring
    unsigned ticket =
        static_cast<int>(grid.blocks) == items ? items : undrawn; // of the next item; none if every item has its block
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
          shared.reach(half, i * 32 + lane) = reach;
          if (reach.row < 0)
            continue;
          lowest = min(lowest, reach.low);
          older = older || reach.oldest < reach.start;
        }
        older = __any_sync(0xffffffffu, older);
        lowest = __reduce_min_sync(0xffffffffu, lowest);
        __syncwarp();
        if (lane == 0)
          arrive(shared.reachFull(half));
      }
      // Late, by when it shows which blocks are done first, and before the wait for the last tile's place.
      if (lane == 0 && ticket == undrawn && first - tileK <= lowest)
        ticket = takeNumber(counter);
    } while (first > lowest);

    // The rings of the rows that have older keys within reach; the first query of a row reaches furthest.
#pragma unroll 1
    for (int i = 0; older && i < tileQ; i += 32) {
      const QueryReach mine = shared.reach(half, i + lane);
      const bool begins = mine.row >= 0 && (i + lane == 0 || shared.reach(half, i + lane - 1).row != mine.row);
#pragma unroll 1
      for (unsigned left = __ballot_sync(0xffffffffu, begins && mine.oldest < mine.start); left != 0;
           left &= left - 1) {
        const QueryReach reach = shared.reach(half, i + __ffs(static_cast<int>(left)) - 1);
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
    item = grid.blocks + __shfl_sync(0xffffffffu, static_cast<int>(ticket), 0);
  }

  copyValues();
  await(shared.keysEmpty(use % stages), (use / stages & 1) ^ 1);
  if (lane == 0) {
    shared.tile(use % stages).row = noMoreTiles;
    arrive(shared.keysFull(use % stages));
  }
}
