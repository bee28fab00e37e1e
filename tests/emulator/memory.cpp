#include "tests/emulator/memory.h"

#include <algorithm>
#include <cstring>

// The dynamic shared memory.
namespace device {
constexpr unsigned sharedBytes = emulator::mostShared + 1024; // a margin behind
alignas(1024) thread_local unsigned char tiles[sharedBytes];
} // namespace device

namespace emulator {

namespace {

// Dynamic shared memory, all that bodies have, starts behind the first KiB; blocks of the cluster have rankUnit bytes
// each, from the second on: addresses below are the running block's own.
constexpr unsigned dynamicBase = 1024, rankUnit = 0x1000000;
constexpr uint64_t barrierMark = 0xb0a2f1e5c3d49687; // what a barrier's bytes hold
constexpr unsigned char beyond = 0xa5;

std::string text(unsigned address) { return "shared byte " + std::to_string(address - dynamicBase); }

struct Remote {
  Block *block;
  unsigned address;
};
Remote resolve(unsigned address) {
  Cluster &cluster = self().block.cluster;
  const unsigned rank = address / rankUnit;
  if (rank == 0)
    return {&self().block, address};
  if (rank > cluster.blocks.size())
    fault("there is no block " + std::to_string(rank - 1) + " in the cluster");
  return {cluster.blocks[rank - 1].get(), address % rankUnit};
}

[[noreturn]] void faultOf(const Block &block, const std::string &what) {
  throw Fault("block " + std::to_string(block.index.x) + ": " + what);
}

MemoryBarrier &barrierOf(Block &block, unsigned address) {
  const auto found = block.barriers.find(address);
  if (found == block.barriers.end())
    faultOf(block, "no mbarrier has been initialised at " + text(address));
  uint64_t mark;
  std::memcpy(&mark, sharedPlace(block, address, 8), 8);
  if (mark != barrierMark)
    faultOf(block, "the mbarrier at " + text(address) + " has been overwritten");
  return found->second;
}

void advance(MemoryBarrier &barrier) {
  if (barrier.pending == 0 && barrier.bytes == 0) {
    ++barrier.phase;
    barrier.pending = barrier.count;
  }
}

void arriveAt(Block &block, unsigned address, long bytes) {
  MemoryBarrier &barrier = barrierOf(block, address);
  if (barrier.pending == 0)
    faultOf(block, "more than the " + std::to_string(barrier.count) + " arrivals of a phase at the mbarrier at " +
                       text(address));
  barrier.bytes += bytes;
  --barrier.pending;
  advance(barrier);
}

void completeAt(Block &block, unsigned address, long bytes) {
  MemoryBarrier &barrier = barrierOf(block, address);
  barrier.bytes -= bytes;
  if (std::abs(barrier.bytes) >= 1 << 20)
    faultOf(block, "the mbarrier at " + text(address) + " counts too many bytes");
  advance(barrier);
}

/// An asynchronous unit will use the barrier.
void requirePublished(Block &block, unsigned address) {
  if (!barrierOf(block, address).published)
    fault("the mbarrier at " + text(address) + " is used by a copy, a store or another block before publishBarriers()");
}

void requireAlive(const Block &block) {
  if (block.live == 0)
    faultOf(block, "its shared memory is accessed when it has ended");
}

/// Writes both images.
void land(Block &block, unsigned address, const void *from, unsigned bytes) {
  std::memcpy(sharedPlace(block, address, bytes), from, bytes);
  std::memcpy(block.published.data() + (address - dynamicBase), from, bytes);
}

void poison(Block &block, unsigned address, unsigned bytes) {
  std::memset(sharedPlace(block, address, bytes), 0xff, bytes);
  std::memset(block.published.data() + (address - dynamicBase), 0xff, bytes);
}

void requireGlobal(const void *from, uint64_t bytes, const char *what) {
  const auto *first = static_cast<const std::byte *>(from);
  for (const std::span<const std::byte> &buffer : self().block.cluster.launch.global)
    if (first >= buffer.data() && first + bytes <= buffer.data() + buffer.size())
      return;
  fault(std::string(what) + " reads outside of every buffer");
}

/// The box, row by row as it lies in shared memory.
std::vector<unsigned char> readBox(const TileMap &map, const std::vector<long> &place) {
  const unsigned rowElements = map.box[0], rank = static_cast<unsigned>(map.box.size());
  unsigned rows = 1;
  for (unsigned d = 1; d < rank; ++d)
    rows *= map.box[d];
  const unsigned rowBytes = rowElements * map.elementBytes;
  std::vector<unsigned char> bytes(rows * rowBytes, 0);
  const long width = static_cast<long>(map.extents[0]), from = std::max(0l, place[0]),
             to = std::min(width, place[0] + static_cast<long>(rowElements));
  for (unsigned row = 0; row < rows; ++row) {
    const unsigned char *at = map.base;
    bool inside = from < to;
    for (unsigned d = 1, left = row; d < rank; left /= map.box[d], ++d) {
      const long i = place[d] + left % map.box[d];
      inside = inside && i >= 0 && i < static_cast<long>(map.extents[d]);
      at += i * static_cast<long>(map.strides[d - 1]);
    }
    if (inside)
      std::memcpy(bytes.data() + row * rowBytes + (from - place[0]) * map.elementBytes, at + from * map.elementBytes,
                  (to - from) * map.elementBytes);
  }
  return bytes;
}

} // namespace

void attachShared(Block &block) {
  block.shared = device::tiles;
  const unsigned bytes = block.cluster.launch.sharedBytes;
  if (bytes > mostShared)
    throw Fault("a block has no " + std::to_string(bytes) + " bytes of shared memory");
  std::memset(block.shared, 0xff, bytes);
  std::memset(block.shared + bytes, beyond, 1024);
  block.published.assign(bytes, 0xff);
}

void checkShared(const Block &block) {
  const unsigned char *behind = block.shared + block.cluster.launch.sharedBytes;
  for (unsigned i = 0; i < 1024; ++i)
    if (behind[i] != beyond)
      faultOf(block, "a store " + std::to_string(i) + " bytes behind its shared memory");
}

unsigned sharedAddress(const void *p) {
  const Block &block = self().block;
  const long dynamic = static_cast<const unsigned char *>(p) - block.shared;
  if (dynamic < 0 || dynamic > static_cast<long>(block.cluster.launch.sharedBytes))
    fault("the address is not of this block's shared memory");
  return dynamicBase + static_cast<unsigned>(dynamic);
}

unsigned clusterAddress(const void *p, unsigned rank) { return (rank + 1) * rankUnit + sharedAddress(p); }

unsigned char *sharedPlace(Block &block, unsigned address, unsigned bytes) {
  if (address < dynamicBase || address - dynamicBase + bytes > block.cluster.launch.sharedBytes)
    faultOf(block, text(address) + " is not within the block's " + std::to_string(block.cluster.launch.sharedBytes));
  return block.shared + (address - dynamicBase);
}

const unsigned char *publishedPlace(const Block &block, unsigned address, unsigned bytes) {
  if (address < dynamicBase || address - dynamicBase + bytes > block.published.size())
    faultOf(block, text(address) + " is not within the block's dynamic shared memory");
  return block.published.data() + (address - dynamicBase);
}

void initBarrier(void *barrier, int arrivals) {
  Block &block = self().block;
  const unsigned address = sharedAddress(barrier);
  if (address % 8 != 0)
    fault("the mbarrier at " + text(address) + " is not aligned");
  if (arrivals < 1)
    fault("an mbarrier counts at least one arrival");
  if (!block.barriers.try_emplace(address, MemoryBarrier{arrivals, arrivals, 0, 0, self().index.x, false}).second)
    fault("the mbarrier at " + text(address) + " is initialised twice");
  std::memcpy(sharedPlace(block, address, 8), &barrierMark, 8);
  pause();
}

void publishBarriers() {
  for (auto &[address, barrier] : self().block.barriers)
    if (barrier.initialisedBy == self().index.x)
      barrier.published = true;
}

void arrive(void *barrier) {
  pause();
  arriveAt(self().block, sharedAddress(barrier), 0);
  pause(); // what the thread still does to what it gave away comes late
}

void arriveExpect(void *barrier, int bytes) {
  pause();
  arriveAt(self().block, sharedAddress(barrier), bytes);
}

void arriveLater(unsigned address) {
  pause();
  const Remote to = resolve(address);
  requirePublished(*to.block, to.address);
  self().block.cluster.later("an arrival at " + text(to.address), [to] {
    requireAlive(*to.block);
    arriveAt(*to.block, to.address, 0);
  });
  pause();
}

void await(void *barrier, unsigned parity) {
  pause();
  Block &block = self().block;
  const unsigned address = sharedAddress(barrier);
  const MemoryBarrier &state = barrierOf(block, address);
  waitUntil([&] { return (state.phase & 1) != (parity & 1); },
            [&] {
              return "mbarrier at " + text(address) + ", parity " + std::to_string(parity & 1) + " (" +
                     std::to_string(state.pending) + " of " + std::to_string(state.count) + " arrivals and " +
                     std::to_string(state.bytes) + " bytes are missing)";
            });
}

void publishToAsync() {
  Block &block = self().block;
  std::memcpy(block.published.data(), block.shared, block.published.size());
}

void copyBulk(unsigned to, const void *from, int bytes, void *barrier) {
  pause();
  if (bytes <= 0 || bytes % 16 != 0 || to % 16 != 0 || reinterpret_cast<uintptr_t>(from) % 16 != 0)
    fault("a bulk copy of " + std::to_string(bytes) + " bytes to " + text(to) + " is not in units of 16 bytes");
  requireGlobal(from, bytes, "a bulk copy");
  Block &block = self().block;
  const unsigned counter = sharedAddress(barrier), size = static_cast<unsigned>(bytes);
  requirePublished(block, counter);
  poison(block, to, size);
  block.cluster.later("a bulk copy to " + text(to), [&block, to, from, size, counter] {
    land(block, to, from, size);
    completeAt(block, counter, size);
  });
}

void copyAsync(unsigned to, const void *from, bool inside) {
  pause();
  if (to % 16 != 0 || reinterpret_cast<uintptr_t>(from) % 16 != 0)
    fault("a copy to " + text(to) + " is not in units of 16 bytes");
  if (inside)
    requireGlobal(from, 16, "a copy");
  Thread &thread = self();
  poison(thread.block, to, 16);
  const size_t group = thread.copies.size() - 1;
  ++thread.copies[group];
  thread.block.cluster.later("a copy to " + text(to), [&thread, to, from, inside, group] {
    constexpr unsigned char zeros[16] = {};
    land(thread.block, to, inside ? from : zeros, 16);
    --thread.copies[group];
  });
}

void commitCopies() { self().copies.push_back(0); }

void waitForCopies(unsigned groups) {
  pause();
  const std::vector<unsigned> &copies = self().copies;
  const size_t awaited = copies.size() - std::min<size_t>(copies.size(), 1 + groups);
  waitUntil([&] { return std::all_of(copies.begin(), copies.begin() + awaited, [](unsigned n) { return n == 0; }); },
            [&] { return "its copies, of which " + std::to_string(groups) + " groups may be under way"; });
}

void storeLater(unsigned to, const float *words, int count, unsigned barrier) {
  pause();
  const Remote place = resolve(to), counter = resolve(barrier);
  const unsigned bytes = static_cast<unsigned>(count) * 4;
  if (place.block != counter.block)
    fault("a store to another block counts its bytes on a barrier of a third");
  if (place.address % bytes != 0)
    fault("a store of " + std::to_string(bytes) + " bytes to " + text(place.address) + " is not aligned");
  requirePublished(*counter.block, counter.address);
  requireAlive(*place.block);
  poison(*place.block, place.address, bytes);
  std::array<float, 4> values{};
  std::copy_n(words, count, values.begin());
  self().block.cluster.later("a store to " + text(place.address), [=] {
    requireAlive(*place.block);
    land(*place.block, place.address, values.data(), bytes);
    completeAt(*counter.block, counter.address, bytes);
  });
}

void copyTile(void *to, const TileMap &map, void *barrier, std::initializer_list<int> place, unsigned blocks) {
  pause();
  Cluster &cluster = self().block.cluster;
  const unsigned address = sharedAddress(to), counter = sharedAddress(barrier);
  if (place.size() != map.box.size())
    fault("a tile's place has " + std::to_string(place.size()) + " coordinates, its map " +
          std::to_string(map.box.size()));
  if (address % std::max(128u, map.swizzle * 8) != 0)
    fault("the tile at " + text(address) + " is not aligned to its swizzle");
  unsigned bytes = map.elementBytes;
  for (unsigned extent : map.box)
    bytes *= extent;
  if (map.swizzle != 0 && map.box[0] * map.elementBytes != map.swizzle)
    fault("a row of the box is not as wide as the swizzle");
  uint64_t reach = map.extents[0] * map.elementBytes;
  for (size_t d = 1; d < map.extents.size(); ++d)
    reach += (map.extents[d] - 1) * map.strides[d - 1];
  if (std::find(map.extents.begin(), map.extents.end(), 0u) == map.extents.end())
    requireGlobal(map.base, reach, "a tile's map");
  std::vector<Block *> targets;
  for (unsigned rank = 0; rank < cluster.blocks.size(); ++rank)
    if (blocks == 0 ? cluster.blocks[rank].get() == &self().block : (blocks >> rank & 1) != 0)
      targets.push_back(cluster.blocks[rank].get());
  for (Block *target : targets) {
    requirePublished(*target, counter);
    requireAlive(*target);
    poison(*target, address, bytes);
    cluster.later("a tile to " + text(address), [=, &map, at = std::vector<long>(place.begin(), place.end())] {
      requireAlive(*target);
      const std::vector<unsigned char> box = readBox(map, at);
      for (unsigned i = 0; i < bytes; i += 16)
        land(*target, swizzled(address + i, map.swizzle), box.data() + i, 16);
      completeAt(*target, counter, bytes);
    });
  }
}

} // namespace emulator
