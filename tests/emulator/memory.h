// The emulator's memory: shared memory with its addresses, mbarriers, and the copies and stores that arrive on their
// own time.
//
// Ordinary accesses of kernels are those of C++, so nothing watches them: what was never written is NaN, the bytes
// behind the dynamic part are looked at when the block ends. From its issue until it lands, the destination of a copy
// is NaN. The asynchronous units see another image of the dynamic part: theirs, and what publishToAsync() has copied to
// it.
#pragma once

#include "tests/emulator/machine.h"

namespace emulator {

constexpr unsigned mostShared = 227 << 10;

/// Gives the block the __shared__ variables of the calling thread of the system.
void attachShared(Block &block);
/// Throws Fault if there is a store beyond the dynamic part.
void checkShared(const Block &block);

/// As instructions see a place in shared memory. In clusterAddress() it has a block of the cluster as well.
unsigned sharedAddress(const void *p);
unsigned clusterAddress(const void *p, unsigned rank);
/// The place of `address` for ordinary access; `bytes` from there are within the dynamic part or static.
unsigned char *sharedPlace(Block &block, unsigned address, unsigned bytes);
/// The same for the asynchronous units; dynamic only.
const unsigned char *publishedPlace(const Block &block, unsigned address, unsigned bytes);

void initBarrier(void *barrier, int arrivals);
void publishBarriers();
void arrive(void *barrier);
void arriveExpect(void *barrier, int bytes);
void arriveLater(unsigned clusterAddress); // at a block's of the cluster
void await(void *barrier, unsigned parity);
void publishToAsync();

/// `bytes` from global memory; a multiple of 16, as all addresses.
void copyBulk(unsigned to, const void *from, int bytes, void *barrier);
/// 16 bytes from global memory by the thread itself, zeros if not `inside`; it is told of no barrier, but waits until
/// at most the newest `groups` of its groups of copies are under way.
void copyAsync(unsigned to, const void *from, bool inside);
void commitCopies();
void waitForCopies(unsigned groups);
/// `words` floats to a place of the cluster, their bytes on the barrier there.
void storeLater(unsigned to, const float *words, int count, unsigned barrier);

/// What a kernel's TensorMap stands for.
struct TileMap {
  const unsigned char *base;
  unsigned elementBytes;
  std::vector<uint64_t> extents, strides;
  std::vector<uint32_t> box;
  uint32_t swizzle;
};
/// The box at `place` to the blocks of the cluster whose bits are set; 0: this one.
void copyTile(void *to, const TileMap &map, void *barrier, std::initializer_list<int> place, unsigned blocks = 0);

/// The address, permuted.
inline unsigned swizzled(unsigned address, unsigned bytes) {
  const unsigned pieces = bytes / 16; // of a row; 0 and 1: nothing moves
  return pieces < 2 ? address : address ^ (address >> 7 & (pieces - 1)) << 4;
}

} // namespace emulator
