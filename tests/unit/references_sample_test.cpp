// Sampling: the generator's published vectors, ties, top-k, and the distribution.
#include "kernels_templates/sample/philox.h"
#include "runtime/executor/host_math.h"
#include "tests/unit/kernel_cases.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace {

using nanotest::Case;
using nanotest::SampleSettings;

constexpr float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();

int draw(const std::vector<float> &z, const SampleSettings &settings, float cap = 0, int step = 0) {
  Case c = nanotest::makeSample(static_cast<int>(z.size()), static_cast<int>(z.size()), 1, cap, settings);
  std::copy(z.begin(), z.end(), c.at<float>(0));
  c.at<int>(2)[0] = step;
  static auto math = nanort::makeHostMath(1);
  c.runCpu(*math);
  return c.at<int>("next")[0];
}

// Random123's known answers for philox4x32-10.
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(kernels::philox({0, 0, 0, 0}, 0, 0),
            (kernels::PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(kernels::philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, 0xffffffff, 0xffffffff),
            (kernels::PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(kernels::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, 0xa4093822, 0x299f31d0),
            (kernels::PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Sample, GreedyTakesTheLowestOfEqualIds) {
  EXPECT_EQ(draw({1, 3, 2, 3, 3}, {}), 1);
  EXPECT_EQ(draw({-0.0f, 0.0f}, {}), 0);
  EXPECT_EQ(draw({nan, -infinity, -5, nan}, {}), 2);
  EXPECT_EQ(draw({nan, nan}, {}), 0);
  EXPECT_EQ(draw({0, infinity, infinity}, {}), 1);
}

TEST(Sample, GreedyComparesBeforeTheSoftcap) {
  // 15 tanh(z / 15) is 15 for both in f32.
  EXPECT_EQ(draw({400, 401}, {}, 15), 1);
}

TEST(Sample, TopKKeepsExactlyK) {
  // Seven equal logits share the third place: of them just the lowest id is a candidate.
  const std::vector<float> z = {1, 2, 0, 1, 3, 1, 1, 1, 1, 1};
  std::set<int> seen;
  for (uint64_t seed = 0; seed < 400; ++seed)
    seen.insert(draw(z, {5.0f, 3, seed}));
  EXPECT_EQ(seen, (std::set<int>{0, 1, 4}));
  for (uint64_t seed = 0; seed < 20; ++seed)
    EXPECT_EQ(draw(z, {5.0f, 1, seed}), 4);
}

TEST(Sample, DistributionFollowsTheTemperature) {
  const std::vector<float> z = {2, 1, 0, -1, 0.5f, 3, -2, 1.5f};
  const float temperature = 1.3f, cap = 4;
  constexpr int draws = 20000;
  std::map<int, int> counts;
  for (int i = 0; i < draws; ++i) // seeds and steps both move the stream
    ++counts[draw(z, {temperature, 0, static_cast<uint64_t>(i / 100) << 20}, cap, i % 100)];
  double total = 0, statistic = 0;
  auto weight = [&](float x) { return std::exp(cap * std::tanh(x / cap) / temperature); };
  for (float x : z)
    total += weight(x);
  for (size_t id = 0; id < z.size(); ++id) {
    const double expected = draws * weight(z[id]) / total;
    statistic += std::pow(counts[static_cast<int>(id)] - expected, 2) / expected;
  }
  EXPECT_LT(statistic, 24.3); // chi-square, 7 degrees of freedom: exceeded by one in a thousand
}

TEST(Sample, RowsHaveTheirOwnStreamWhereverTheyRun) {
  Case all = nanotest::makeSample(1000, 1024, 8, 15, {1.0f, 0, 9, 100});
  auto math = nanort::makeHostMath(2);
  all.runCpu(*math);
  for (uint32_t row = 3; row < 7; ++row) {
    Case one = nanotest::makeSample(1000, 1024, 1, 15, {1.0f, 0, 9, 100 + row});
    std::copy_n(all.at<float>(0) + row * 1024, 1024, one.at<float>(0));
    one.at<int>(2)[0] = all.at<int>(2)[row];
    one.runCpu(*math);
    EXPECT_EQ(one.at<int>("next")[0], all.at<int>("next")[row]) << "row " << row;
  }
}

TEST(Sample, PruningIsExact) {
  // Logits far enough apart that most ids cannot win, at temperatures from nearly greedy to nearly uniform.
  for (float temperature : {1e-30f, 0.01f, 1.0f, 100.0f, infinity}) {
    std::set<int> seen;
    for (uint64_t seed = 0; seed < 50; ++seed)
      seen.insert(draw({0, 30, 60, 61}, {temperature, 0, seed}));
    if (temperature < 0.1f) {
      EXPECT_EQ(seen, std::set<int>{3}) << temperature;
    } else if (temperature > 10) {
      EXPECT_EQ(seen.size(), 4u) << temperature;
    }
  }
}

} // namespace
