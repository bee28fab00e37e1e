// The emulator itself: small kernels with the faults that it is there to find, each beside the one that is right. What
// depends on the schedule must show in some of a few seeds.
#include "tests/emulator/device.h"

#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>

namespace device {

static unsigned char *dynamicShared() {
  extern __shared__ unsigned char tiles[];
  return tiles;
}

namespace {

constexpr int Seeds = 12;

/// The faults over all seeds; an empty text where the kernel ended.
std::vector<std::string> runs(emulator::Launch launch, const std::function<void()> &kernel) {
  launch.kernel = kernel;
  std::vector<std::string> results;
  for (int seed = 0; seed < Seeds; ++seed) {
    try {
      emulator::run(launch, static_cast<uint64_t>(seed));
      results.emplace_back();
    } catch (const emulator::Fault &fault) {
      results.emplace_back(fault.what());
    }
  }
  return results;
}
const auto Right = testing::Each("");
auto someSay(const char *text) { return testing::Contains(testing::HasSubstr(text)); }
auto allSay(const char *text) { return testing::Each(testing::HasSubstr(text)); }

template <typename T> std::span<const std::byte> bytesOf(const std::vector<T> &x) {
  return std::as_bytes(std::span(x));
}

struct Shared { // as the kernels below use the dynamic part
  alignas(1024) unsigned char tiles[3][8192];
  float floats[512];
  Barrier full[3], empty[3];
};
Shared &sharedOf() { return *reinterpret_cast<Shared *>(dynamicShared()); }
emulator::Launch launchOf(unsigned threads, unsigned blocks = 1, unsigned cluster = 1) {
  emulator::Launch launch;
  launch.threads = threads;
  launch.blocks = blocks;
  launch.cluster = cluster;
  launch.sharedBytes = sizeof(Shared);
  return launch;
}
void initBarriers(int arrivals) {
  if (threadIdx.x == 0) {
    for (int i = 0; i < 3; ++i) {
      initBarrier(&sharedOf().full[i], 1);
      initBarrier(&sharedOf().empty[i], arrivals);
    }
    publishBarriers();
  }
  __syncthreads();
}

// ---- threads

TEST(Threads, ShuffleAndVote) {
  std::vector<int> seen(64);
  EXPECT_THAT(runs(launchOf(64),
                   [&] {
                     const int lane = threadIdx.x % 32;
                     const int sum = static_cast<int>(warpSum(static_cast<float>(threadIdx.x)));
                     const int far = __shfl_xor_sync(0xffffffffu, lane, 5);
                     const bool right = far == (lane ^ 5) && __ballot_sync(0xffffffffu, lane % 3 == 0) == 0x49249249u &&
                                        __any_sync(0xffffffffu, lane == 7) && !__all_sync(0xffffffffu, lane == 7) &&
                                        __reduce_min_sync(0xffffffffu, 5 - lane) == -26;
                     seen[threadIdx.x] = right ? sum : -1;
                   }),
              Right);
  EXPECT_EQ(seen[0], 31 * 16);
  EXPECT_EQ(seen[63], 31 * 16 + 32 * 32);
}

TEST(Threads, ABlockWithoutItsBarrierReadsTooEarly) {
  for (bool synchronised : {true, false}) {
    int wrong = 0;
    runs(launchOf(128), [&] {
      float *floats = sharedOf().floats;
      floats[threadIdx.x] = static_cast<float>(threadIdx.x);
      if (synchronised)
        __syncthreads();
      const unsigned other = threadIdx.x ^ 64;
      wrong += floats[other] != static_cast<float>(other); // NaN if nobody has written it
    });
    EXPECT_EQ(wrong == 0, synchronised);
  }
}

TEST(Threads, ADeadlockSaysWhoWaitsWhere) {
  const auto results = runs(launchOf(64), [] {
    initBarriers(1);
    if (threadIdx.x < 32)
      __syncthreads();
    else
      await(&sharedOf().full[1], 0);
  });
  EXPECT_THAT(results, allSay("deadlock"));
  EXPECT_THAT(results, allSay("threads 0-31: barrier 0, 32 of 64 threads are there"));
  EXPECT_THAT(results, allSay("threads 32-63: mbarrier at shared byte"));
  EXPECT_THAT(results, allSay("1 of 1 arrivals and 0 bytes are missing"));
}

TEST(Threads, LanesMeetAtOneOperation) {
  EXPECT_THAT(runs(launchOf(32),
                   [] {
                     if (threadIdx.x < 16)
                       warpSum(1);
                     else
                       __syncwarp();
                   }),
              allSay("others of its warp are at"));
}

TEST(Threads, NamedBarriersCountWhoComes) {
  EXPECT_THAT(runs(launchOf(64), [] { groupBarrier<96>(1); }), allSay("64 of 96 threads are there"));
  EXPECT_THAT(runs(launchOf(96),
                   [] {
                     if (threadIdx.x < 64)
                       groupBarrier<64>(1);
                     else
                       passBarrier<64>(1);
                   }),
              testing::Not(Right));
}

// ---- mbarriers and copies

TEST(Barriers, MustBeInitialisedOnceAndStayWhole) {
  EXPECT_THAT(runs(launchOf(32), [] { arrive(&sharedOf().full[0]); }), allSay("no mbarrier has been initialised"));
  EXPECT_THAT(runs(launchOf(32), [] { initBarrier(&sharedOf().full[0], 1); }), allSay("is initialised twice"));
  EXPECT_THAT(runs(launchOf(32),
                   [] {
                     initBarriers(32);
                     sharedOf().full[0] = 0;
                     arrive(&sharedOf().full[0]);
                   }),
              allSay("has been overwritten"));
}

TEST(Barriers, TooManyArrivals) {
  EXPECT_THAT(runs(launchOf(32),
                   [] {
                     initBarriers(1);
                     if (threadIdx.x == 0)
                       arriveExpect(&sharedOf().full[0], 16);
                     __syncwarp();
                     if (threadIdx.x == 1)
                       arrive(&sharedOf().full[0]);
                   }),
              allSay("more than the 1 arrivals of a phase"));
}

TEST(Barriers, CopiesNeedThemPublished) {
  std::vector<float> from(4, 1);
  emulator::Launch launch = launchOf(32);
  launch.global = {bytesOf(from)};
  for (bool publishes : {true, false}) {
    const auto results = runs(launch, [&] {
      if (threadIdx.x > 0)
        return;
      initBarrier(&sharedOf().full[0], 1);
      if (publishes)
        publishBarriers();
      arriveExpect(&sharedOf().full[0], 16);
      copyRow(sharedOf().floats, from.data(), 16, &sharedOf().full[0]);
      await(&sharedOf().full[0], 0);
    });
    if (publishes)
      EXPECT_THAT(results, Right);
    else
      EXPECT_THAT(results, allSay("before publishBarriers()"));
  }
}

TEST(Copies, StayWithinBuffersAndSharedMemory) {
  std::vector<float> from(8, 1);
  emulator::Launch launch = launchOf(32);
  launch.global = {bytesOf(from)};
  auto copying = [&](unsigned offset, int first, int bytes) {
    return runs(launch, [=, &from] {
      initBarriers(1);
      if (threadIdx.x == 0) {
        arriveExpect(&sharedOf().full[0], bytes);
        copyRow(sharedOf().tiles[0] + offset, from.data() + first, bytes, &sharedOf().full[0]);
        await(&sharedOf().full[0], 0);
      }
    });
  };
  EXPECT_THAT(copying(0, 0, 32), Right);
  EXPECT_THAT(copying(0, 4, 32), allSay("reads outside of every buffer"));
  EXPECT_THAT(copying(8, 0, 16), allSay("not in units of 16 bytes"));
  EXPECT_THAT(copying(sizeof(Shared) - 16, 0, 32), allSay("is not within"));
}

TEST(Copies, ABlockMayNotEndBeforeThem) {
  std::vector<float> from(8, 1);
  emulator::Launch launch = launchOf(32);
  launch.global = {bytesOf(from)};
  EXPECT_THAT(runs(launch,
                   [&] {
                     initBarriers(1);
                     if (threadIdx.x == 0) {
                       arriveExpect(&sharedOf().full[0], 16);
                       copyRow(sharedOf().floats, from.data(), 16, &sharedOf().full[0]);
                     }
                   }),
              someSay("a block ends while this is under way: a bulk copy"));
}

/// A producer warp hands `rounds` rows of 32 floats through three stages to a consumer warp, which adds them up.
enum class Mistake { None, ReleasesEarly, ForgetsToWait, FillsUnasked, CountsTooFew };
float pipeline(Mistake mistake, std::vector<std::string> &results) {
  constexpr int rounds = 10;
  std::vector<float> from(rounds * 32);
  std::iota(from.begin(), from.end(), 1.0f);
  emulator::Launch launch = launchOf(64);
  launch.global = {bytesOf(from)};
  float worst = 0;
  for (int seed = 0; seed < Seeds; ++seed) {
    std::vector<float> sums(32);
    launch.kernel = [&] {
      Shared &shared = sharedOf();
      initBarriers(32);
      for (int i = 0; i < rounds; ++i) {
        const int stage = i % 3;
        float *row = reinterpret_cast<float *>(shared.tiles[stage]);
        if (threadIdx.x == 0) {
          if (mistake != Mistake::FillsUnasked)
            await(&shared.empty[stage], (i / 3 & 1) ^ 1);
          arriveExpect(&shared.full[stage], mistake == Mistake::CountsTooFew ? 64 : 128);
          copyRow(row, &from[i * 32], 128, &shared.full[stage]);
        } else if (threadIdx.x >= 32) {
          if (mistake != Mistake::ForgetsToWait)
            await(&shared.full[stage], i / 3 & 1);
          if (mistake == Mistake::ReleasesEarly)
            arrive(&shared.empty[stage]);
          sums[threadIdx.x - 32] += row[threadIdx.x - 32];
          if (mistake != Mistake::ReleasesEarly)
            arrive(&shared.empty[stage]);
        }
      }
    };
    try {
      emulator::run(launch, static_cast<uint64_t>(seed));
      results.emplace_back();
    } catch (const emulator::Fault &fault) {
      results.emplace_back(fault.what());
    }
    for (int i = 0; i < 32; ++i) {
      float sum = 0;
      for (int round = 0; round < rounds; ++round)
        sum += from[round * 32 + i];
      if (const float difference = std::abs(sums[i] - sum); !(difference <= worst))
        worst = std::isnan(difference) ? infinity() : difference;
    }
  }
  return worst;
}

TEST(Pipelines, FaultsShow) {
  std::vector<std::string> results;
  EXPECT_EQ(pipeline(Mistake::None, results), 0);
  EXPECT_THAT(results, Right);
  EXPECT_GT(pipeline(Mistake::ReleasesEarly, results), 0);
  EXPECT_GT(pipeline(Mistake::ForgetsToWait, results), 0);
  EXPECT_GT(pipeline(Mistake::FillsUnasked, results), 0);
  results.clear();
  pipeline(Mistake::CountsTooFew, results);
  EXPECT_THAT(results, testing::Not(Right));
}

// ---- clusters

TEST(Clusters, StoresArriveInTheOtherBlock) {
  for (bool stays : {true, false}) {
    float got[2] = {};
    const auto results = runs(launchOf(32, 2, 2), [&] {
      if (threadIdx.x == 0) {
        initBarrier(&sharedOf().full[0], 1);
        publishBarriers();
        arriveExpect(&sharedOf().full[0], 4);
      }
      clusterArrive<2>();
      clusterWait<2>();
      if (threadIdx.x > 0)
        return;
      clusterStore<2>(sharedOf().floats, clusterRank() ^ 1, 5.0f + clusterRank(), &sharedOf().full[0]);
      if (stays || clusterRank() == 0) {
        await(&sharedOf().full[0], 0);
        got[clusterRank()] = sharedOf().floats[0];
      }
    });
    if (stays) {
      EXPECT_THAT(results, Right);
      EXPECT_EQ(got[0], 6);
      EXPECT_EQ(got[1], 5);
    } else {
      EXPECT_THAT(results, someSay("is accessed when it has ended"));
    }
  }
}

TEST(Clusters, OthersBarriersMustBeThere) {
  EXPECT_THAT(runs(launchOf(32, 2, 2),
                   [] {
                     if (threadIdx.x == 0) {
                       initBarrier(&sharedOf().full[0], 1);
                       publishBarriers();
                       arriveAt(&sharedOf().full[0], clusterRank() ^ 1);
                       await(&sharedOf().full[0], 0);
                     }
                   }),
              someSay("no mbarrier has been initialised"));
}

// ---- products

/// One round of a warpgroup: sums[64, 8] = a[64, 64] b[8, 64]^T of bf16 out of swizzled tiles.
enum class Misuse { None, Fragments, NotPublished, NoFence, NoWait, ReadsSums, OverwritesOperand, OverwritesFragments };
struct Outcome {
  std::vector<std::string> faults;
  int wrong = 0;
};
Outcome multiplyOnce(Misuse misuse) {
  auto a = [](int row, int k) { return static_cast<float>((row * 7 + k * 3) % 11 - 5); };
  auto b = [](int row, int k) { return static_cast<float>((row * 5 + k) % 7 - 3); };
  Outcome outcome;
  outcome.faults = runs(launchOf(128), [&] {
    Shared &shared = sharedOf();
    auto put = [&](unsigned char *tile, int row, int k, float x) {
      reinterpret_cast<bf16 *>(tile + row * 128 + (k / 8 ^ row % 8) * 16)[k % 8] = fromFloat<bf16>(x);
    };
    for (int i = threadIdx.x; i < 64 * 64; i += 128) {
      put(shared.tiles[0], i / 64, i % 64, a(i / 64, i % 64));
      if (i / 64 < 8)
        put(shared.tiles[1], i / 64, i % 64, b(i / 64, i % 64));
    }
    if (misuse != Misuse::NotPublished)
      publishToAsync();
    __syncthreads();
    const int g = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    const bool fragments = misuse == Misuse::Fragments || misuse == Misuse::OverwritesFragments;
    unsigned own[4][4];
    for (int k = 0; k < 4; ++k)
      for (int part = 0; part < 4; ++part) {
        const int row = g + part % 2 * 8, column = k * 16 + part / 2 * 8 + t * 2;
        own[k][part] = packBf16(a(row, column), a(row, column + 1));
      }
    float sums[4] = {1, 1, 1, 1}, early = 0;
    if (misuse != Misuse::NoFence)
      beginProducts();
    for (int k = 0; k < 4; ++k)
      if (fragments)
        multiply(sums, own[k], alongK(matrixOf(shared.tiles[1]), k * 16), k > 0);
      else
        multiply(sums, alongK(matrixOf(shared.tiles[0]), k * 16), alongK(matrixOf(shared.tiles[1]), k * 16), k > 0);
    endProducts();
    if (misuse == Misuse::OverwritesOperand) {
      put(shared.tiles[1], threadIdx.x % 8, threadIdx.x / 8, 100);
      publishToAsync();
    }
    if (misuse == Misuse::OverwritesFragments)
      own[0][0] = 0x42c842c8;
    emulator::pause();
    if (misuse == Misuse::ReadsSums)
      early = sums[0] * 0;
    if (misuse != Misuse::NoWait)
      awaitProducts<0>();
    for (int i = 0; i < 4; ++i) {
      float sum = 0;
      for (int k = 0; k < 64; ++k)
        sum += a(g + i / 2 * 8, k) * b(t * 2 + i % 2, k);
      outcome.wrong += !(sums[i] + early == sum);
    }
    if (misuse == Misuse::NoWait)
      awaitProducts<0>();
  });
  return outcome;
}

TEST(Products, MisuseShows) {
  for (Misuse right : {Misuse::None, Misuse::Fragments}) {
    const Outcome outcome = multiplyOnce(right);
    EXPECT_THAT(outcome.faults, Right);
    EXPECT_EQ(outcome.wrong, 0);
  }
  EXPECT_THAT(multiplyOnce(Misuse::NoFence).faults, allSay("a product without beginProducts()"));
  for (Misuse misuse : {Misuse::NotPublished, Misuse::NoWait, Misuse::ReadsSums, Misuse::OverwritesOperand,
                        Misuse::OverwritesFragments})
    EXPECT_GT(multiplyOnce(misuse).wrong, 0) << static_cast<int>(misuse);
}

TEST(Products, DescriptorsAreRead) {
  auto with = [](Matrix b) {
    return runs(launchOf(128), [=] {
      float sums[4] = {};
      beginProducts();
      multiply(sums, matrixOf(sharedOf().tiles[0]), b, false);
      endProducts();
      awaitProducts<0>();
    });
  };
  EXPECT_THAT(with(1024 / 16 | 1ull << 62 | 64ull << 32), Right);
  EXPECT_THAT(with(1024 / 16 | 3ull << 62), allSay("neither the 128-byte nor the 64-byte swizzle"));
  EXPECT_THAT(with(1024 / 16 | 1ull << 62 | 1ull << 49), allSay("bits that mean nothing"));
  EXPECT_THAT(with(0x3000 | 1ull << 62 | 64ull << 32), allSay("is not within"));
}

// ---- the end of a block

TEST(Blocks, WaitForTheirProducers) {
  std::vector<float> x(4, 2);
  emulator::Launch launch = launchOf(32);
  launch.waits = true;
  launch.late = {std::as_writable_bytes(std::span(x))};
  EXPECT_THAT(runs(launch, [] {}), allSay("has not waited for its producers"));
  float before = 0, after = 0;
  EXPECT_THAT(runs(launch,
                   [&] {
                     __syncwarp();
                     if (threadIdx.x == 0)
                       before = x[0];
                     __syncwarp();
                     awaitProducers();
                     after = x[0];
                   }),
              Right);
  EXPECT_TRUE(std::isnan(before));
  EXPECT_EQ(after, 2);
}

TEST(Blocks, DoNotWriteBehindTheirSharedMemory) {
  EXPECT_THAT(runs(launchOf(32), [] { reinterpret_cast<char *>(&sharedOf() + 1)[3] = 0; }),
              allSay("a store 3 bytes behind its shared memory"));
}

} // namespace
} // namespace device
