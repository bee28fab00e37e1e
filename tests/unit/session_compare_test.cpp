// Launch-by-launch comparison finds the first wrong launch and nothing else.
#include "runtime/session/compare.h"
#include "runtime/session/session.h"
#include "runtime/session/tour.h"
#include "tests/unit/tiny_plan.h"

#include <cmath>
#include <gtest/gtest.h>
#include <map>

using namespace nanort;
using namespace nanort::test;

namespace {

/// A CPU executor that changes one element after one launch, as a faulty kernel would.
class Faulty final : public Executor {
public:
  Faulty(std::unique_ptr<Executor> inner, uint32_t entry, uint32_t node, uint32_t buffer, float change)
      : inner(std::move(inner)), entry(entry), node(node), buffer(buffer), change(change) {}
  std::string device() const override { return "faulty"; }
  const ExecutorStats &stats() const override { return inner->stats(); }
  void write(uint32_t b, const void *data, size_t bytes) override { inner->write(b, data, bytes); }
  void read(uint32_t b, void *data, size_t bytes) override { inner->read(b, data, bytes); }
  void run(uint32_t e) override { inner->run(e); }
  void runNode(uint32_t e, uint32_t n) override {
    inner->runNode(e, n);
    if (e != entry || n != node)
      return;
    float value = 0;
    inner->read(buffer, &value, 4);
    value = std::isnan(change) ? change : value + change;
    inner->write(buffer, &value, 4);
  }

private:
  std::unique_ptr<Executor> inner;
  uint32_t entry, node, buffer;
  float change;
};

class Compare : public testing::Test {
protected:
  TempDir dir;
  Json json = tinyPlan();
  std::shared_ptr<const Plan> plan = openPlan(dir, json);

  std::unique_ptr<Executor> cpu() { return makeCpuExecutor(plan, 0, Weights::random(plan, 1), {1, 0, false}); }

  void generate(std::unique_ptr<Executor> executor) {
    Session session(plan, 0, std::move(executor));
    const std::vector<int32_t> ids = {1, 5, 9, 2, 2};
    const Session::Feed feed[] = {{0, ids}};
    session.prefill(feed);
    const Session::Token token[] = {{0, 3}};
    session.decode(token);
  }

  Thrown withFault(const std::string &meaning, uint32_t entry, float change) {
    const size_t node = nodesOf(json["programs"][0], entry, meaning).front();
    uint32_t buffer = 0;
    for (const Json &arg : json["programs"][0]["entries"][entry]["nodes"][node]["work"]["args"])
      if (arg["kind"] == "Buffer")
        buffer = arg["buffer"]; // outputs come last of a reference's
    auto faulty = std::make_unique<Faulty>(cpu(), entry, static_cast<uint32_t>(node), buffer, change);
    auto both = std::make_unique<LockstepExecutor>(plan, 0, std::move(faulty), cpu());
    return thrownBy([&] { generate(std::move(both)); });
  }
};

TEST_F(Compare, EqualExecutorsAgree) {
  auto both = std::make_unique<LockstepExecutor>(plan, 0, cpu(), cpu());
  const LockstepExecutor &result = *both;
  Session session(plan, 0, std::move(both));
  const std::vector<int32_t> ids = {1, 5, 9, 2, 2};
  const Session::Feed feed[] = {{0, ids}};
  session.prefill(feed);
  EXPECT_EQ(result.byKernel().at("product").launches, 5u);
  for (const auto &[kernel, difference] : result.byKernel())
    EXPECT_EQ(difference.worst, 0) << kernel;
}

TEST_F(Compare, TheTourReachesEveryEntryWithRowsOfDifferentLengths) {
  // Runs of each entry, and with how many rows.
  class Counting final : public Executor {
  public:
    explicit Counting(std::unique_ptr<Executor> inner) : inner(std::move(inner)) {}
    std::string device() const override { return inner->device(); }
    const ExecutorStats &stats() const override { return inner->stats(); }
    void write(uint32_t b, const void *data, size_t bytes) override { inner->write(b, data, bytes); }
    void read(uint32_t b, void *data, size_t bytes) override { inner->read(b, data, bytes); }
    void run(uint32_t e) override {
      ++runs[e];
      inner->run(e);
    }
    void runNode(uint32_t, uint32_t) override {}
    std::map<uint32_t, int> runs;

  private:
    std::unique_ptr<Executor> inner;
  };
  auto counting = std::make_unique<Counting>(cpu());
  const Counting &counted = *counting;
  Session session(plan, 0, std::move(counting));
  visitEntries(session, plan->program(0));
  for (uint32_t i = 0; i < plan->program(0).entries()->size(); ++i) {
    const schema::Entry &entry = *plan->program(0).entries()->Get(i);
    EXPECT_GE(counted.runs.contains(i) ? counted.runs.at(i) : 0, entry.kind() == schema::EntryKind::Score ? 1 : 2)
        << entry.name()->str();
  }
}

TEST_F(Compare, NamesTheFirstWrongLaunch) {
  // The prompt of five goes through prefill_8 (entry 1), the next token through decode_1 (entry 2).
  for (auto [meaning, entry, name] :
       {std::tuple{"product", 1, "prefill_8"}, {"attention_chunk", 1, "prefill_8"}, {"add", 2, "decode_1"}}) {
    const Thrown thrown = withFault(meaning, static_cast<uint32_t>(entry), 0.5f);
    EXPECT_EQ(thrown.code, 7);
    EXPECT_NE(thrown.message.find(name), std::string::npos) << thrown.message;
    EXPECT_NE(thrown.message.find(meaning), std::string::npos) << thrown.message;
  }
}

TEST_F(Compare, NotANumberAndIntegersCount) {
  EXPECT_EQ(withFault("kv_write", 1, NAN).code, 7);
  EXPECT_EQ(withFault("sample", 2, 1e-30f).code, 7);
}

} // namespace
