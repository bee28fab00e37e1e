// Plans that are sound but not for this build: another description of a kernel, ranks, collectives; and plans of this
// and earlier formats as files, with what must happen when they are loaded.
#include "codegen/Description.h"
#include "codegen/Registry.h"
#include "runtime/base/text.h"
#include "runtime/session/executor.h"
#include "runtime/session/session.h"
#include "tests/unit/plan_rule.h"

#include <fstream>
#include <gtest/gtest.h>
#include <set>

using namespace nanort;
using namespace nanort::test;

namespace {

Thrown refusedFor(const std::function<void(Json &)> &change) {
  TempDir dir;
  Json plan = tinyPlan();
  plan["producer"] = "nanocc 0.0.7 (abc1234)";
  change(plan);
  Thrown thrown = thrownBy([&] { openPlan(dir, plan); });
  EXPECT_EQ(thrown.code, 4) << thrown.message;
  EXPECT_NE(thrown.message.find("compile the model again with this"), std::string::npos) << thrown.message;
  return thrown;
}

TEST(PlanFits, AKernelsDescriptionDecides) {
  const Thrown thrown = refusedFor([](Json &plan) {
    Json &byte = program(plan)["kernels"][1]["description"][31];
    byte = byte.get<int>() ^ 1;
  });
  EXPECT_NE(
      thrown.message.find("kernel 1 ('rms_norm_0_8'): this kernel was described otherwise by the nanocc that made "
                          "this plan (nanocc 0.0.7 (abc1234))"),
      std::string::npos)
      << thrown.message;
  refusedFor([](Json &plan) { program(plan)["kernels"][1]["description"] = {1, 2, 3}; });
}

TEST(PlanFits, AKernelThatThisBuildLacksIsNamed) {
  const Thrown thrown = refusedFor([](Json &plan) { program(plan)["kernels"][0]["family"] = "warp_drive"; });
  EXPECT_NE(thrown.message.find("'warp_drive'"), std::string::npos) << thrown.message;
  EXPECT_NE(thrown.message.find("nanocc 0.0.7 (abc1234)"), std::string::npos) << thrown.message;
}

TEST(PlanFits, SeveralRanksDoNot) {
  const Thrown thrown = refusedFor([](Json &plan) { program(plan)["ranks"] = 2; });
  EXPECT_NE(thrown.message.find("for 2 ranks; this build runs one"), std::string::npos) << thrown.message;
}

TEST(PlanFits, ACollectiveDoesNot) {
  const Thrown thrown = refusedFor([](Json &plan) {
    Json &node = program(plan)["entries"][0]["nodes"][1];
    node = {{"work_type", "Collective"},
            {"work", {{"kind", "AllReduce"}, {"buffer", 0}, {"ranks", {0}}}},
            {"edges", node["edges"]}};
  });
  EXPECT_NE(thrown.message.find("entry 0 ('prefill_4'): node 1: it is a collective"), std::string::npos)
      << thrown.message;
}

/// What a family says of itself, and nothing else, is in its description.
TEST(Description, ChangesWithWhatAPlanRestsOn) {
  std::set<Sha256> hashes;
  for (const ::kernels::Family *family : codegen::allFamilies())
    EXPECT_TRUE(hashes.insert(codegen::descriptionHash(*family)).second) << family->name;

  const ::kernels::Family &linear = *codegen::findFamily("linear");
  auto with = [&](const std::function<void(::kernels::Family &)> &change) {
    ::kernels::Family changed = linear;
    change(changed);
    return codegen::descriptionHash(changed);
  };
  EXPECT_TRUE(hashes.insert(with([](auto &f) { f.referenceVersion = 2; })).second);
  EXPECT_TRUE(hashes.insert(with([](auto &f) { f.params[0].name = "Z"; })).second);
  EXPECT_TRUE(hashes.insert(with([](auto &f) { f.params[0].isType ^= true; })).second);
  EXPECT_TRUE(hashes.insert(with([](auto &f) { std::swap(f.params[2], f.params[3]); })).second);
  EXPECT_TRUE(hashes.insert(with([](auto &f) { f.args[0].name = "z"; })).second);
  EXPECT_TRUE(hashes.insert(with([](auto &f) { f.args[0].type = "f32"; })).second);
  EXPECT_TRUE(hashes.insert(with([](auto &f) { f.args[0].mapped ^= true; })).second);
  EXPECT_TRUE(hashes.insert(with([](auto &f) { f.args[0].kind = ::kernels::ArgKind::InOut; })).second);
  EXPECT_TRUE(hashes.insert(with([](auto &f) { f.args.pop_back(); })).second);
  EXPECT_FALSE(hashes.insert(with([](auto &f) { f.waitsItself ^= true; })).second);
  EXPECT_FALSE(hashes.insert(with([](auto &f) { f.cost = nullptr; })).second);
}

const std::filesystem::path frozen = NANO_FROZEN_PLANS;

/// Of a file of lines "key: value".
std::string expectation(const std::filesystem::path &path, const std::string &key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key + ": "))
      return line.substr(key.size() + 2);
  ADD_FAILURE() << path << " has no '" << key << "'";
  return {};
}

/// Every format that a release has written stays refused with a way out, or readable.
TEST(FrozenPlans, OfEarlierFormatsNameTheFormatAndTheRemedy) {
  size_t count = 0;
  for (uint32_t version = 5; version < kPlanFormatVersion; ++version, ++count) {
    const std::string name = "format-" + std::to_string(version);
    const Thrown thrown = thrownBy([&] { Plan::open(frozen / (name + ".fb")); });
    EXPECT_EQ(std::to_string(thrown.code), expectation(frozen / (name + ".txt"), "exit"));
    for (const char *part : {"message", "remedy"})
      EXPECT_NE(thrown.message.find(expectation(frozen / (name + ".txt"), part)), std::string::npos) << thrown.message;
  }
  EXPECT_GT(count, 0u);
}

TEST(FrozenPlans, OfThisFormatGiveTheSameIds) {
  const std::string name = "format-" + std::to_string(kPlanFormatVersion);
  const std::filesystem::path path = frozen / (name + ".fb");
  std::shared_ptr<const Plan> plan;
  try {
    plan = Plan::open(path);
  } catch (const Error &error) {
    FAIL() << error.what()
           << "\nThe schema or a kernel's description has changed: run tests/golden/plans/make.sh. If a "
           << "release has written plans of format " << kPlanFormatVersion
           << ", raise kPlanFormatVersion (runtime/plan/plan.h) first, and keep its files.";
  }
  std::string ids;
  Session session(plan, 0, makeCpuExecutor(plan, 0, Weights::random(plan, 5), {1, 0, true}));
  const std::vector<int32_t> prompt = {1, 2, 3};
  const Session::Feed feeds[] = {{0, prompt}};
  int32_t next = session.prefill(feeds).at(0);
  for (int i = 0; i < 12; ++i) {
    ids += (i ? "," : "") + std::to_string(next);
    const Session::Token token[] = {{0, next}};
    next = session.decode(token).at(0);
  }
  EXPECT_EQ(ids, expectation(frozen / (name + ".txt"), "ids"));
}

} // namespace
