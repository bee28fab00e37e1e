// Plans that are sound but not for this build: another description of a kernel, ranks, collectives; and plans of this
// and earlier formats as files, with what must happen when they are loaded.
#include "codegen/Description.h"
#include "kernels_templates/base/catalogue.h"
#include "runtime/executor/executor.h"
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
  const Thrown thrown = refusedFor([](Json &plan) { program(plan)["kernels"][0]["meaning"] = "warp_drive"; });
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

TEST(PlanFits, AnEngineThatThisBuildLacksIsNamed) {
  TempDir dir;
  Json plan = tinyPlan({{4}, {1}, 0, "sm_90a"});
  program(plan)["kernels"][0]["engine"] = "antigravity";
  const Thrown thrown = thrownBy([&] { openPlan(dir, plan); });
  EXPECT_EQ(thrown.code, 4);
  EXPECT_NE(thrown.message.find("no engine 'antigravity' computes 'embed' here"), std::string::npos) << thrown.message;
}

/// What a kernel says of itself, and nothing else, is in its description.
TEST(Description, ChangesWithWhatAPlanRestsOn) {
  using namespace ::kernels;
  std::set<Sha256> hashes;
  for (const Kernel &kernel : catalogue().allKernels())
    EXPECT_TRUE(hashes.insert(codegen::descriptionHash(kernel)).second) << kernel.text();

  const Kernel &kernel = *catalogue().kernel("attention_chunk", "wgmma");
  auto with = [&](const std::function<void(Meaning &, Engine &)> &change) {
    Meaning meaning = kernel.meaning;
    Engine engine = *kernel.engine;
    change(meaning, engine);
    return codegen::descriptionHash(Kernel(meaning, &engine));
  };
  auto changed = [&](const std::function<void(Meaning &, Engine &)> &change) {
    return hashes.insert(with(change)).second;
  };
  EXPECT_FALSE(changed([](Meaning &, Engine &) {}));
  EXPECT_TRUE(changed([](Meaning &m, Engine &) { m.name = "other"; }));
  EXPECT_TRUE(changed([](Meaning &m, Engine &) { m.version = 2; }));
  EXPECT_TRUE(changed([](Meaning &m, Engine &) { m.params[0].name = "Z"; }));
  EXPECT_TRUE(changed([](Meaning &m, Engine &) { m.params[0].isType ^= true; }));
  EXPECT_TRUE(changed([](Meaning &m, Engine &) { std::swap(m.params[2], m.params[3]); }));
  EXPECT_TRUE(changed([](Meaning &m, Engine &) { m.args[0].name = "z"; }));
  EXPECT_TRUE(changed([](Meaning &m, Engine &) { m.args[0].access = Access::InOut; }));
  EXPECT_TRUE(changed([](Meaning &m, Engine &) { m.args[0].role = Role::Constant; }));
  EXPECT_TRUE(changed([](Meaning &m, Engine &) { m.args[0].type = "f32"; }));
  EXPECT_TRUE(changed([](Meaning &m, Engine &) { m.args[0].shape = "n heads"; }));
  EXPECT_TRUE(changed([](Meaning &m, Engine &) { m.args[4].of = "tokens"; })); // an index
  EXPECT_TRUE(changed([](Meaning &m, Engine &) { m.args.pop_back(); }));
  EXPECT_TRUE(changed([](Meaning &, Engine &e) { e.name = "other"; }));
  EXPECT_TRUE(changed([](Meaning &, Engine &e) { e.params[0].name = "Z"; }));
  EXPECT_TRUE(changed([](Meaning &, Engine &e) { e.args[0].role = Role::Partials; }));
  // How it is computed is the plan's own.
  EXPECT_FALSE(changed([](Meaning &m, Engine &) { m.cost = nullptr; }));
  EXPECT_FALSE(changed([](Meaning &, Engine &e) { e.waitsItself ^= true; }));
  EXPECT_FALSE(changed([](Meaning &, Engine &e) { e.header = "other.cuh"; }));
  EXPECT_FALSE(changed([](Meaning &, Engine &e) { e.shape = nullptr; }));
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
  for (uint32_t version = 5; version < planFormatVersion; ++version, ++count) {
    const std::string name = "format-" + std::to_string(version);
    const Thrown thrown = thrownBy([&] { Plan::open(frozen / (name + ".fb")); });
    EXPECT_EQ(std::to_string(thrown.code), expectation(frozen / (name + ".txt"), "exit"));
    for (const char *part : {"message", "remedy"})
      EXPECT_NE(thrown.message.find(expectation(frozen / (name + ".txt"), part)), std::string::npos) << thrown.message;
  }
  EXPECT_GT(count, 0u);
}

TEST(FrozenPlans, OfThisFormatGiveTheSameIds) {
  const std::string name = "format-" + std::to_string(planFormatVersion);
  const std::filesystem::path path = frozen / (name + ".fb");
  std::shared_ptr<const Plan> plan;
  try {
    plan = Plan::open(path);
  } catch (const Error &error) {
    FAIL() << error.what()
           << "\nThe schema or a kernel's description has changed: run tests/golden/plans/make.sh. If a "
           << "release has written plans of format " << planFormatVersion
           << ", raise planFormatVersion (runtime/plan/plan.h) first, and keep its files.";
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
