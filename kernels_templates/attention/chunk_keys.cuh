// The keys of a chunk of tokens: which tiles of them a block of queries needs, and what a query sees of them. The
// engines `mma` and `wgmma` of attention_chunk have the same tiles and reaches, and their own ways to shared memory.
//
// Visible keys. The tokens of a row are neighbouring slots in order of position, so within the chunk a query at slot t
// sees the slots [t - min(position - start, window), t]: one interval, which covers causality, window and prompts end
// to end. Older keys lie in the row's ring, position j at slot j % ring: at most two pieces in which position - slot is
// a constant, the newer one [0, (start - 1) % ring] and, once the ring has wrapped, the older one behind it. In each a
// query of that row again sees one interval. So a tile of keys is a place and a shift (KeyTile), and a row of scores is
// masked by two bounds. Whoever has the tiles copied alone decides which there are.
//
// The walk goes from the newest key to the oldest: slots of the chunk downwards, then ring by ring, in tiles that end
// with the last query or with a piece's last slot. The first copy so depends on nothing that has to be read; and the
// order is fixed, so the same inputs give the same bits.
//
// Slots that hold no key of anybody (padding, a ring's slots never written) may hold NaN. In K that only makes scores
// that are masked. In V it would not be harmless: a weight of 0 times NaN is NaN. Such rows of V are
// therefore cleared in shared memory before anybody reads the tile. Rows of Q that are padding spoil nothing but
// themselves, and give zeros. Slots of other rows that do hold keys count with weight 0, and are taken to be finite.

#pragma once

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

// An item is a tile of queries of one head. Heads that share a kv head are neighbours; the last queries of a prompt,
// which see the most keys, come before its first ones, so that the last items to be done are short.
template <int heads, int tileQ> struct ChunkItem {
  int head, firstQuery;
  __device__ ChunkItem(int item, int n)
      : head(item % heads), firstQuery(((n + tileQ - 1) / tileQ - 1 - item / heads) * tileQ) {}
};
