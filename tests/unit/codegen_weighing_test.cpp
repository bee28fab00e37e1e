// Which choice wins.
#include "codegen/Weighing.h"

#include <gtest/gtest.h>

#include <map>

namespace {

using codegen::Choice;
using codegen::Weighed;

constexpr int64_t bf16 = static_cast<int64_t>(kernels::DType::BF16);

const codegen::Problem problem{"product",
                               {{"T", bf16}, {"O", bf16}, {"K", 2048}, {"N", 2048}, {"norm", 0}, {"n", 512}}};

Choice wgmma(int64_t tileM, int64_t tileN, int64_t stages, int64_t split = 1) {
  return {"wgmma",
          {{"tile_m", tileM}, {"tile_n", tileN}, {"stages", stages}, {"split", split}, {"share", 1}, {"blocks", 132}}};
}

// On an H100 a block of the first takes a whole SM; two of the second and the fourth fit, and three of the third.
const Choice whole = wgmma(128, 128, 6), half = wgmma(128, 64, 3), third = wgmma(64, 64, 3),
             clusters = wgmma(128, 64, 3, 2);

/// In the order in which they win, of choices with times in microseconds, or 0 where none was measured.
std::vector<Weighed> weighed(const std::vector<std::pair<Choice, double>> &times) {
  std::vector<Choice> choices;
  std::map<std::string, double> known;
  for (const auto &[choice, us] : times) {
    choices.push_back(choice);
    if (us > 0)
      known[choice.text()] = us;
  }
  return codegen::weighAll(problem, choices, "sm_90a",
                           [&](const codegen::Problem &, const Choice &choice) -> std::optional<double> {
                             const auto time = known.find(choice.text());
                             return time == known.end() ? std::nullopt : std::optional(time->second);
                           });
}

void expectWinner(const std::vector<std::pair<Choice, double>> &times, const Choice &winner, const char *reason) {
  for (bool reversed : {false, true}) {
    std::vector<std::pair<Choice, double>> given = times;
    if (reversed)
      std::reverse(given.begin(), given.end());
    const std::vector<Weighed> order = weighed(given);
    ASSERT_EQ(order.size(), times.size());
    EXPECT_EQ(order.front().choice.text(), winner.text());
    EXPECT_EQ(order.front().reason, reason);
    for (size_t i = 1; i < order.size(); ++i)
      EXPECT_EQ(order[i].reason, "");
  }
}

TEST(Weighing, TheShapesAreWhatTheCasesTakeThemFor) {
  const std::vector<Weighed> all = weighed({{whole, 1}, {half, 2}, {third, 3}, {clusters, 4}});
  for (const Weighed &w : all)
    EXPECT_EQ(w.leavesHalf(), w.choice.text() != whole.text()) << w.text();
  EXPECT_TRUE(weighed({}).empty());
}

TEST(Weighing, PredictionsAreOrderedByTime) {
  const std::vector<Weighed> all = weighed({{whole, 0}, {half, 0}, {third, 0}, {clusters, 0}});
  ASSERT_EQ(all.size(), 4u);
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_FALSE(all[i].measured);
    EXPECT_TRUE(all[i].text().ends_with(" us predicted")) << all[i].text();
    EXPECT_TRUE(i == 0 || all[i - 1].us <= all[i].us);
  }
}

TEST(Weighing, WhatWasMeasuredComesFirst) {
  const std::vector<Weighed> all = weighed({{half, 0}, {third, 1e6}});
  EXPECT_EQ(all[0].text(), third.text() + ": 1000000.00 us measured");
  EXPECT_FALSE(all[1].measured);
  EXPECT_EQ(all[0].reason, "");
}

TEST(Weighing, AWholeSmHasItsPrice) {
  expectWinner({{whole, 10}, {half, 11}}, half, "leaves half an SM");
  expectWinner({{whole, 10}, {half, 12}}, whole, "");
}

TEST(Weighing, OfCloseOnesTheSmallerWins) {
  expectWinner({{half, 10}, {third, 10.3}}, third, "nearly as short, more blocks fit an SM");
  expectWinner({{half, 10}, {third, 10.4}}, half, "");
  expectWinner({{half, 10.3}, {third, 10}}, third, "");
}

TEST(Weighing, OfNearOnesTheSmallerClusterWins) {
  expectWinner({{clusters, 100}, {half, 101.5}}, half, "nearly as short, in smaller clusters");
  expectWinner({{clusters, 100}, {half, 102.5}}, clusters, "");
  expectWinner({{clusters, 101.5}, {half, 100}}, half, "");
}

} // namespace
