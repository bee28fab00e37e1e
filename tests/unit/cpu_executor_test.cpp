// The CPU executor as an instrument: shuffled launches show missing edges, poison shows bytes that nobody wrote.
#include "runtime/executor/executor.h"
#include "runtime/session/session.h"
#include "tests/unit/tiny_plan.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

using namespace nanort;
using namespace nanort::test;

namespace {

const std::vector<int32_t> text = {1, 5, 9, 2, 2, 10, 0, 7, 3, 4};

std::vector<float> logits(const std::shared_ptr<const Plan> &plan, const CpuOptions &options) {
  Session session(plan, 0, makeCpuExecutor(plan, 0, Weights::random(plan, 1), options));
  std::vector<float> all;
  session.score(text, true, [&](size_t, std::span<const float>, std::span<const float> part) {
    all.insert(all.end(), part.begin(), part.end());
  });
  return all;
}

bool same(const std::vector<float> &a, const std::vector<float> &b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

const size_t scoreEntry = 4; // of tinyPlan()

TEST(CpuExecutor, OrderThreadsAndPoisonChangeNothingInASoundPlan) {
  TempDir dir;
  const auto plan = openPlan(dir, tinyPlan());
  const std::vector<float> expected = logits(plan, {1, 0, false});
  ASSERT_EQ(expected.size(), text.size() * tinyVocab);
  for (float x : expected)
    ASSERT_TRUE(std::isfinite(x));
  EXPECT_TRUE(same(expected, logits(plan, {2, 0, false})));
  for (uint64_t seed = 1; seed <= 30; ++seed)
    EXPECT_TRUE(same(expected, logits(plan, {1, seed, true}))) << seed;
}

/// Every edge is there for a reason: without it some order gives other logits.
TEST(CpuExecutor, ShufflingShowsAnyMissingEdge) {
  TempDir dir;
  const Json sound = tinyPlan();
  const std::vector<float> expected = logits(openPlan(dir, sound), {1, 0, false});
  const Json &nodes = sound["programs"][0]["entries"][scoreEntry]["nodes"];
  size_t tried = 0;
  for (size_t n = 0; n < nodes.size(); ++n)
    for (size_t e = 0; e < nodes[n]["edges"].size(); ++e) {
      Json broken = sound;
      broken["programs"][0]["entries"][scoreEntry]["nodes"][n]["edges"].erase(e);
      const auto plan = openPlan(dir, broken);
      EXPECT_TRUE(same(expected, logits(plan, {1, 0, true}))) << "the plan's own order is still right";
      bool shown = false;
      for (uint64_t seed = 1; seed <= 200 && !shown; ++seed)
        shown = !same(expected, logits(plan, {1, seed, true}));
      // The last launch writes what only the host reads, and these logits do not depend on it.
      const bool observable = n + 1 != nodes.size();
      EXPECT_TRUE(shown || !observable) << "node " << n << ", edge from " << nodes[n]["edges"][e]["from"];
      ++tried;
    }
  EXPECT_GT(tried, 15u);
}

TEST(CpuExecutor, PoisonShowsBytesThatNobodyWrote) {
  TempDir dir;
  Json plan = tinyPlan();
  Json &program = plan["programs"][0];
  // The residual addition leaves the last token's row alone: without poison stale bytes of an earlier launch are there.
  Json &add = program["entries"][scoreEntry]["nodes"][nodesOf(program, scoreEntry, "add").front()];
  Json &count = add["work"]["args"][3]["i32"];
  count = count.get<int>() - 8;
  const auto opened = openPlan(dir, plan);
  bool nan = false;
  for (float x : logits(opened, {1, 0, false}))
    nan |= std::isnan(x);
  EXPECT_FALSE(nan);
  for (float x : logits(opened, {1, 0, true}))
    nan |= std::isnan(x);
  EXPECT_TRUE(nan);
}

TEST(CpuExecutor, AnyCudaProgramRunsOnTheCpu) {
  TempDir dir;
  const std::vector<float> expected = logits(openPlan(dir, tinyPlan()), {1, 0, false});
  TinyOptions options;
  options.target = "sm_90a";
  Json plan = tinyPlan(options);
  for (Json &kernel : plan["programs"][0]["kernels"])
    if (kernel["meaning"] == "product") { // a library call is no engine's, and means what its reference computes
      describe(kernel, "");
      kernel.erase("source");
    }
  for (Json &entry : plan["programs"][0]["entries"])
    for (Json &node : entry["nodes"])
      if (plan["programs"][0]["kernels"][node["work"]["kernel"].get<size_t>()]["meaning"] == "product") {
        node["work_type"] = "Library";
        for (const char *field : {"grid", "block", "shared_bytes"})
          node["work"].erase(field);
      }
  EXPECT_TRUE(same(expected, logits(openPlan(dir, plan), {1, 0, false})));
}

TEST(CpuExecutor, StatesWhatItAllocates) {
  TempDir dir;
  const auto plan = openPlan(dir, tinyPlan());
  const auto executor = makeCpuExecutor(plan, 0, Weights::random(plan, 1), {1, 0, false});
  const schema::Memory &memory = *plan->program(0).memory();
  EXPECT_EQ(executor->stats().kv, memory.kv());
  EXPECT_EQ(executor->stats().state, memory.state());
  EXPECT_EQ(executor->stats().arena, memory.arena());
  EXPECT_GT(executor->stats().constants, 0u);
  EXPECT_EQ(executor->device(), "cpu");
}

TEST(CpuExecutor, RefusesWhatNoMachineHolds) {
  TempDir dir;
  Json json = tinyPlan();
  json["programs"][0]["memory"]["kv"] = 1ull << 47;
  const auto plan = openPlan(dir, json);
  const Thrown thrown = thrownBy([&] { makeCpuExecutor(plan, 0, Weights::random(plan, 1), {1, 0, false}); });
  EXPECT_EQ(thrown.code, 6);
  EXPECT_NE(thrown.message.find("140737"), std::string::npos) << thrown.message;
}

TEST(CpuExecutor, TransfersStayInTheirBuffer) {
  TempDir dir;
  const auto plan = openPlan(dir, tinyPlan());
  const auto executor = makeCpuExecutor(plan, 0, Weights::random(plan, 1), {1, 0, false});
  const uint32_t tokens = *Plan::input(*plan->program(0).entries()->Get(0), "tokens");
  std::vector<int32_t> values(8, 3), back(8);
  executor->write(tokens, values.data(), 32);
  executor->read(tokens, back.data(), 32);
  EXPECT_EQ(values, back);
  EXPECT_EQ(thrownBy([&] { executor->write(tokens, values.data(), 33); }).code, 1);
  EXPECT_EQ(thrownBy([&] { executor->write(0, values.data(), 4); }).code, 1) << "constants are read-only";
}

} // namespace
