// The emulator itself: threads, blocks and clusters.
#include "tests/emulator/small_kernels.h"

namespace device {
namespace {

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
              right);
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
              testing::Not(right));
}

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
      EXPECT_THAT(results, right);
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
              right);
  EXPECT_TRUE(std::isnan(before));
  EXPECT_EQ(after, 2);
}

TEST(Blocks, DoNotWriteBehindTheirSharedMemory) {
  EXPECT_THAT(runs(launchOf(32), [] { reinterpret_cast<char *>(&sharedOf() + 1)[3] = 0; }),
              allSay("a store 3 bytes behind its shared memory"));
}

} // namespace
} // namespace device
