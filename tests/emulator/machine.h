// The machine that kernels run on in tests: blocks and clusters of threads, one fiber a thread, scheduled at random
// from a seed. Its memory: memory.h; its matrix products: products.h.
#pragma once

#include "tests/emulator/fiber.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

namespace emulator {

/// What a kernel did that the hardware would not survive; the text names the block, the thread and the fault.
struct Fault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Dim {
  unsigned x = 1, y = 1, z = 1;
};

struct Launch {
  unsigned blocks = 1, threads = 32, cluster = 1, sharedBytes = 0;
  std::function<void()> kernel; // of one thread
  /// Every thread's block must wait for the producers, and these bytes are NaN before it does.
  bool waits = false;
  std::vector<std::span<std::byte>> late;
  /// What bulk copies may read.
  std::vector<std::span<const std::byte>> global;
};

/// Runs the clusters one after another, in an order that the seed decides like all else. Throws Fault.
void run(const Launch &launch, uint64_t seed);

// ---- what the device layer (device.h, memory.cpp, products.cpp) works on

struct Block;
struct Cluster;

/// Of wgmma, one accumulator: while products run, `sums` is NaN and the values are in `hidden`.
struct Accumulator {
  float *sums;
  std::vector<float> hidden;
  uint64_t lastRound;
};

struct Product {
  uint64_t a, b; // descriptors
  const unsigned *fragments;
  int accumulator, columns;
  bool add, transposed;
};

struct Thread {
  Thread(Block &block, unsigned index, std::function<void()> body)
      : block(block), index{index, 0, 0}, fiber(std::move(body)) {}

  Block &block;
  Dim index;
  Fiber fiber;
  // What it waits for; both lie on its own stack.
  const void *condition = nullptr, *reason = nullptr;
  bool (*holds)(const void *) = nullptr;
  std::string (*describe)(const void *) = nullptr;

  bool arrivedAtCluster = false;
  uint64_t clusterPhase = 0;

  std::vector<unsigned> copies = {0}; // of its own that are under way (memory.h), by groups; the last one is open

  bool fenced = false; // for products
  uint64_t committed = 0;
  std::vector<Product> open;
  std::vector<std::vector<Product>> rounds; // committed, from the warpgroup's `executed` on
  std::vector<Accumulator> accumulators;
};

struct Warp {
  const char *operation = "";
  unsigned come = 0;
  uint64_t generation = 0;
  unsigned values[2][32][8] = {};
  uint64_t asleepUntil = 0;
};

struct Warpgroup {
  uint64_t executed = 0, scheduled = 0;
};

struct NamedBarrier {
  unsigned come = 0, expected = 0;
  uint64_t generation = 0;
};

struct MemoryBarrier {
  int count, pending;
  long bytes = 0;
  unsigned phase = 0, initialisedBy = 0;
  bool published = false;
};

struct Block {
  Block(Cluster &cluster, unsigned rank, unsigned index) : cluster(cluster), rank(rank), index{index, 0, 0} {}

  Cluster &cluster;
  unsigned rank;
  Dim index;
  std::vector<std::unique_ptr<Thread>> threads;
  std::vector<Warp> warps;
  std::vector<Warpgroup> warpgroups;
  std::array<NamedBarrier, 16> named;
  unsigned live = 0;
  bool waited = false;

  unsigned char *shared = nullptr;      // as threads see it
  std::vector<unsigned char> published; // as the asynchronous units see it
  std::unordered_map<unsigned, MemoryBarrier> barriers;
};

/// Something that happens on its own, from `due` on.
struct Task {
  uint64_t due;
  std::string what;
  std::function<void()> act;
};

struct Cluster {
  const Launch &launch;
  std::vector<std::unique_ptr<Block>> blocks;
  std::vector<Task> tasks;     // a heap, the first to come on top
  std::vector<Task> postponed; // until nobody can go on
  unsigned arrived = 0;        // at the cluster's barrier
  uint64_t phase = 0, now = 0, random = 1;
  // How late things are: up to so many steps, as a power of two; and as many of 8 tasks are postponed.
  unsigned laziness = 0, reluctance = 0;
  std::vector<std::vector<std::byte>> lateBytes;
  std::exception_ptr fault;

  uint32_t next(); // a random word
  bool chance(unsigned one, unsigned of) { return next() % of < one; }
  /// At some later time.
  void later(std::string what, std::function<void()> act);
  void startProducersEnd();
};

/// The thread that is running.
Thread &self();
[[noreturn]] void fault(const std::string &what);

/// Another thread may go first.
void pause();

void waitRaw(const void *condition, bool (*holds)(const void *), const void *reason,
             std::string (*describe)(const void *));
/// Suspends the running thread until `ready()`; `reason()` is for the report of a deadlock.
template <typename Ready, typename Reason> void waitUntil(const Ready &ready, const Reason &reason) {
  if (!ready())
    waitRaw(
        &ready, [](const void *p) { return (*static_cast<const Ready *>(p))(); }, &reason,
        [](const void *p) { return (*static_cast<const Reason *>(p))(); });
}

/// All lanes of the warp meet; the values of each, at most 8. They stay until the operation after the next.
using WarpValues = unsigned[32][8];
const WarpValues &exchange(const char *operation, std::initializer_list<unsigned> words);

void namedBarrier(unsigned id, unsigned threads, bool wait);
void arriveAtCluster();
void waitForCluster();
void waitForProducers();

} // namespace emulator
