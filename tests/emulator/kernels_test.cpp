// Kernels of the device on the emulator against their CPU references, over several schedules.
#include "runtime/executor/host_math.h"
#include "tests/emulator/run_case.h"

#include <algorithm>
#include <cstdio>
#include <gtest/gtest.h>
#include <sstream>

using namespace nanotest;

namespace {

/// More where the schedule has more to decide and little costs much.
uint64_t seedsOf(std::string_view kernel) { return kernel == "attention_chunk-wgmma" ? 8 : 4; }

std::vector<std::string> emulated() {
  std::stringstream list(NANO_EMULATED);
  std::vector<std::string> names;
  for (std::string name; std::getline(list, name, ',');)
    names.push_back(name);
  return names;
}

class Emulated : public testing::TestWithParam<std::string> {};

/// Every seed is another schedule, and outputs hold something else before: the bits must be the same, and those of the
/// reference within the tolerance.
TEST_P(Emulated, EqualsItsReferenceInEverySchedule) {
  auto math = nanort::makeHostMath(1);
  size_t count = 0;
  double worst = 0;
  const size_t dash = GetParam().find('-');
  const kernels::Kernel *tested = kernels::catalogue().kernel(GetParam().substr(0, dash), GetParam().substr(dash + 1));
  for (const Case &c : casesOf(*tested)) {
    const emulator::Kernel *kernel = emulator::findInstance(c);
    if (!kernel)
      continue; // left to the GPU
    ++count;
    Case expected = c;
    expected.runCpu(*math);
    std::vector<std::vector<std::byte>> first;
    for (uint64_t seed = 1; seed <= seedsOf(GetParam()); ++seed) {
      std::string why;
      auto result = emulator::runCase(c, *kernel, seed * 1000 + count, seed % 2 ? 0xff : 0, why);
      if (!result) {
        ADD_FAILURE() << c.label() << ", seed " << seed * 1000 + count << ": " << why;
        break;
      }
      double ratio = 0;
      const std::string difference = compareOutputs(expected, *result, ratio);
      EXPECT_TRUE(difference.empty()) << "seed " << seed * 1000 + count << ": " << difference;
      worst = std::max(worst, ratio);
      if (seed == 1)
        first = *result;
      EXPECT_EQ(first, *result) << c.label() << ": the result depends on the schedule";
    }
  }
  EXPECT_GT(count, 0u) << "no instances: tests/emulator/CMakeLists.txt";
  std::printf("%s: %zu cases, worst difference %.3f of the tolerance\n", GetParam().c_str(), count, worst);
}

INSTANTIATE_TEST_SUITE_P(All, Emulated, testing::ValuesIn(emulated()),
                         [](const testing::TestParamInfo<std::string> &info) {
                           std::string name = info.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

} // namespace
