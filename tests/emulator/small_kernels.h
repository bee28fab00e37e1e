// What the tests of the emulator itself have in common: small kernels with the faults that it is there to find, each
// beside the one that is right. What depends on the schedule must show in some of a few seeds.
#pragma once

#include "tests/emulator/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace device {

#include "kernels_templates/device/reduce.cuh"

constexpr int seeds = 12;

/// The faults over all seeds; an empty text where the kernel ended.
inline std::vector<std::string> runs(emulator::Launch launch, const std::function<void()> &kernel) {
  launch.kernel = kernel;
  std::vector<std::string> results;
  for (int seed = 0; seed < seeds; ++seed) {
    try {
      emulator::run(launch, static_cast<uint64_t>(seed));
      results.emplace_back();
    } catch (const emulator::Fault &fault) {
      results.emplace_back(fault.what());
    }
  }
  return results;
}
const auto right = testing::Each("");
inline auto someSay(const char *text) { return testing::Contains(testing::HasSubstr(text)); }
inline auto allSay(const char *text) { return testing::Each(testing::HasSubstr(text)); }

struct Shared { // as the kernels use the dynamic part
  alignas(1024) unsigned char tiles[3][8192];
  float floats[512];
  Barrier full[3], empty[3];
};
inline Shared &sharedOf() { return *reinterpret_cast<Shared *>(dynamicShared()); }

inline emulator::Launch launchOf(unsigned threads, unsigned blocks = 1, unsigned cluster = 1) {
  emulator::Launch launch;
  launch.threads = threads;
  launch.blocks = blocks;
  launch.cluster = cluster;
  launch.sharedBytes = sizeof(Shared);
  return launch;
}
/// The empty ones for so many arrivals, the full ones for a copy.
inline void initBarriers(int arrivals) {
  if (threadIdx.x == 0) {
    for (int i = 0; i < 3; ++i) {
      initBarrier(&sharedOf().full[i], 1);
      initBarrier(&sharedOf().empty[i], arrivals);
    }
    publishBarriers();
  }
  __syncthreads();
}

} // namespace device
