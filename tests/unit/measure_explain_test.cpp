// Times of launches, from stamps to the table of bench --explain.
#include "runtime/measure/explain.h"
#include "tests/unit/tiny_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace nanort;
using testing::ElementsAre;
using testing::Optional;

namespace {

TEST(Achieved, ALaunchCountsFromTheEndOfAllBeforeIt) {
  // The second starts before the first ends, the third ends before the second does.
  const std::vector<std::vector<LaunchTime>> runs = {{{1000, 3000}, {2000, 7000}, {2500, 6000}, {7500, 9000}}};
  const Achieved times = achieved(runs);
  EXPECT_THAT(times.launches, ElementsAre(Optional(2.0), Optional(4.0), Optional(0.0), Optional(2.0)));
  EXPECT_EQ(times.step, 8);
}

TEST(Achieved, ALibraryCallLastsUntilTheNextLaunchBegins) {
  const std::vector<std::vector<LaunchTime>> runs = {{{1000, 3000}, {}, {}, {8000, 9000}, {}}};
  const Achieved times = achieved(runs);
  EXPECT_THAT(times.launches, ElementsAre(Optional(2.0), std::nullopt, Optional(5.0), Optional(1.0), std::nullopt));
  EXPECT_EQ(times.step, 8);
}

TEST(Achieved, IsTheMedianOfItsRuns) {
  const std::vector<std::vector<LaunchTime>> runs = {{{0, 4000}}, {{5000, 6000}}, {{7000, 9000}}, {{}}};
  EXPECT_THAT(achieved(runs).launches, ElementsAre(Optional(2.0)));
  EXPECT_EQ(achieved(runs).step, 2);
  EXPECT_TRUE(achieved({}).launches.empty());
}

TEST(Explain, ComparesWithWhatTheTargetCouldDo) {
  test::TempDir dir;
  const auto cpu = test::openPlan(dir, test::tinyPlan());
  EXPECT_FALSE(report::describe(*cpu, 0).entries[0].launches[0].predicted);
  test::Json json = test::tinyPlan({{4}, {1}, 0, "sm_90a"});
  for (test::Json &kernel : json["programs"][0]["kernels"])
    kernel["source"] = "// source";
  test::Json &node = json["programs"][0]["entries"][0]["nodes"][0];
  node["bytes"] = 3120000; // a microsecond's
  node["flops"] = 67000000 / 2;
  const auto plan = test::openPlan(dir, json);
  const report::Program program = report::describe(*plan, 0);
  const report::Entry &entry = program.entries[0];
  const auto &best = entry.launches[0].predicted;
  ASSERT_TRUE(best);
  EXPECT_DOUBLE_EQ(best->bytesUs, 1);
  EXPECT_DOUBLE_EQ(best->flopsUs, 0.5);
  EXPECT_DOUBLE_EQ(best->us(), 1 + best->launchUs);

  Achieved times;
  times.step = 8;
  times.launches.assign(entry.launches.size(), std::nullopt);
  times.launches[0] = 2;
  const auto object = explainJson(entry, times);
  EXPECT_DOUBLE_EQ(object["launches"][0]["gb_s"], 1560);
  EXPECT_DOUBLE_EQ(object["launches"][0]["share"], 0.25);
  EXPECT_TRUE(object["launches"][1]["us"].is_null());
  EXPECT_TRUE(object["launches"][1]["gb_s"].is_null());
  EXPECT_NE(explainText(entry, times, 3).find("    0     2.00"), std::string::npos);
}

} // namespace
