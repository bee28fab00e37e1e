// The emulator itself: mbarriers, copies and tiles, and what pipelines of them may get wrong.
#include "tests/emulator/small_kernels.h"

#include <numeric>

namespace device {
namespace {

template <typename T> std::span<const std::byte> bytesOf(const std::vector<T> &x) {
  return std::as_bytes(std::span(x));
}

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
      EXPECT_THAT(results, right);
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
  EXPECT_THAT(copying(0, 0, 32), right);
  EXPECT_THAT(copying(0, 4, 32), allSay("reads outside of every buffer"));
  EXPECT_THAT(copying(8, 0, 16), allSay("not in units of 16 bytes"));
  EXPECT_THAT(copying(sizeof(Shared) - 16, 0, 32), allSay("is not within"));
}

TEST(Copies, ThreadsWaitForTheirOwnGroups) {
  std::vector<float> from(12, 1);
  emulator::Launch launch = launchOf(32);
  launch.global = {bytesOf(from)};
  // Two groups, the second of a copy of zeros; all have come by the end.
  auto copying = [&](int first, bool inside, auto wait) {
    return runs(launch, [&, first, inside] {
      float *to = sharedOf().floats + threadIdx.x * 8;
      copyOrZero(sharedAddress(to), from.data() + first, inside);
      commitCopies();
      copyOrZero(sharedAddress(to + 4), from.data(), false);
      commitCopies();
      wait();
      if (to[0] != 1)
        emulator::fault("has not waited for the first");
      waitForCopies<0>();
      if (to[4] != 0)
        emulator::fault("no zeros");
    });
  };
  EXPECT_THAT(copying(8, true, [] { waitForCopies<1>(); }), right);
  EXPECT_THAT(copying(8, true, [] { waitForCopies<2>(); }), someSay("has not waited for the first"));
  EXPECT_THAT(copying(8, false, [] { waitForCopies<1>(); }), allSay("has not waited for the first")); // zeros
  EXPECT_THAT(copying(12, true, [] { waitForCopies<1>(); }), allSay("reads outside of every buffer"));
  EXPECT_THAT(copying(2, true, [] { waitForCopies<1>(); }), allSay("not in units of 16 bytes"));
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

/// bf16 of value row * 100 + column, and a map of boxes of 64 columns by 4 rows.
struct Grid {
  std::vector<bf16> elements;
  emulator::TileMap map;
  TensorMap argument;

  Grid(int rows, int columns)
      : elements(rows * columns), map{reinterpret_cast<const unsigned char *>(elements.data()),
                                      2,
                                      {static_cast<uint64_t>(columns), static_cast<uint64_t>(rows)},
                                      {columns * 2ull},
                                      {64, 4},
                                      128},
        argument{&map} {
    for (size_t i = 0; i < elements.size(); ++i)
      elements[i] = fromFloat<bf16>(valueOf(static_cast<int>(i) / columns, static_cast<int>(i) % columns));
  }
  static float valueOf(int row, int column) { return static_cast<float>(row * 16 + column % 16); }
  float expected(int row, int column) const {
    const bool inside =
        row >= 0 && column >= 0 && row < static_cast<int>(map.extents[1]) && column < static_cast<int>(map.extents[0]);
    return inside ? valueOf(row, column) : 0;
  }
};

TEST(Tiles, ArePermutedAndZeroOutside) {
  const Grid grid(7, 72);
  emulator::Launch launch = launchOf(32, 2, 2);
  launch.global = {bytesOf(grid.elements)};
  int wrong = 0, read = 0;
  const auto results = runs(launch, [&] {
    Shared &shared = sharedOf();
    initBarriers(1);
    clusterArrive<2>();
    clusterWait<2>();
    if (threadIdx.x == 0) { // its own at (-8, 5); and the first block's at (40, 2) to both
      arriveExpect(&shared.full[0], 2 * 64 * 4 * 2);
      copyTile(shared.tiles[0], &grid.argument, &shared.full[0], -8, 5);
      if (clusterRank() == 0)
        copyTileToAll(shared.tiles[1], &grid.argument, &shared.full[0], 40, 2, 3);
    }
    await(&shared.full[0], 0);
    for (int i = threadIdx.x; i < 2 * 4 * 64; i += 32) {
      const int tile = i / 256, row = i / 64 % 4, column = i % 64;
      const bf16 *at =
          reinterpret_cast<const bf16 *>(shared.tiles[tile] + row * 128 + (column / 8 ^ row) * 16) + column % 8;
      wrong += toFloat(*at) != (tile ? grid.expected(2 + row, 40 + column) : grid.expected(5 + row, column - 8));
      ++read;
    }
    clusterArrive<2>(); // a block stays for the other's copy
    clusterWait<2>();
  });
  EXPECT_THAT(results, right);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(read, seeds * 2 * 512);
}

TEST(Tiles, AreAlignedToTheirSwizzle) {
  const Grid grid(4, 64);
  emulator::Launch launch = launchOf(32);
  launch.global = {bytesOf(grid.elements)};
  EXPECT_THAT(runs(launch,
                   [&] {
                     initBarriers(1);
                     copyTile(sharedOf().tiles[0] + 128, &grid.argument, &sharedOf().full[0], 0, 0);
                   }),
              allSay("is not aligned to its swizzle"));
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
  for (int seed = 0; seed < seeds; ++seed) {
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
  EXPECT_THAT(results, right);
  EXPECT_GT(pipeline(Mistake::ReleasesEarly, results), 0);
  EXPECT_GT(pipeline(Mistake::ForgetsToWait, results), 0);
  EXPECT_GT(pipeline(Mistake::FillsUnasked, results), 0);
  results.clear();
  pipeline(Mistake::CountsTooFew, results);
  EXPECT_THAT(results, testing::Not(right));
}

} // namespace
} // namespace device
