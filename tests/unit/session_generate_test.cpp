// Generate entries: a whole request in one run is its steps one by one, token for token.
#include "runtime/session/generate.h"
#include "tests/unit/tiny_plan.h"

#include <gtest/gtest.h>

using namespace nanort;
using namespace nanort::test;

namespace {

using Prompts = std::vector<std::vector<int32_t>>;

class GenerateEntries : public testing::Test {
protected:
  TempDir dir;

  Session open(const TinyOptions &options = {{3, 8}, {1, 2, 4}, 4, "cpu", true}) {
    const auto plan = openPlan(dir, tinyPlan(options));
    return Session(plan, 0, makeCpuExecutor(plan, 0, Weights::random(plan, 1), {1, 1, true}));
  }

  static std::vector<Sample> run(Session &session, const Prompts &prompts, GenerateOptions options, GenerateMode mode,
                                 Timing *timing = nullptr) {
    options.mode = mode;
    return generate(session, prompts, options, timing);
  }

  /// Both ways, in sessions of their own and once more in the same one: nothing of a request may reach the next.
  void expectSame(const Prompts &prompts, const GenerateOptions &options, const std::string &what) {
    Session steps = open(), graph = open();
    Timing one, other;
    const auto expected = run(steps, prompts, options, GenerateMode::Steps, &one);
    for (int turn = 0; turn < 2; ++turn) {
      std::vector<std::vector<int32_t>> streamed(prompts.size());
      GenerateOptions streaming = options;
      streaming.onToken = [&](size_t sample, int32_t id) { streamed[sample].push_back(id); };
      const auto actual = run(graph, prompts, streaming, GenerateMode::Graph, &other);
      ASSERT_EQ(actual.size(), expected.size()) << what;
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(actual[i].ids, expected[i].ids) << what << ", sample " << i;
        EXPECT_EQ(actual[i].finish, expected[i].finish) << what << ", sample " << i;
        EXPECT_EQ(streamed[i], expected[i].ids) << what << ", sample " << i;
      }
      EXPECT_EQ(other.steps, one.steps) << what;
      const size_t last = (prompts.size() - 1) / graph.rows() * graph.rows(); // first prompt of the last group
      for (uint32_t row = 0; last + row < prompts.size(); ++row)
        EXPECT_EQ(graph.length(row), steps.length(row)) << what << ", row " << row;
    }
  }
};

const Prompts one = {{1, 5, 9}}, several = {{1, 5, 9, 2}, {3}, {7, 7, 0, 10, 4, 2, 8}};

TEST_F(GenerateEntries, EqualStepsGreedyAndSampled) {
  for (const Prompts &prompts : {one, several, Prompts(6, {4, 1}), Prompts{{0}}, Prompts{{1, 2, 3}, {4, 5, 6}},
                                 Prompts{{1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}}})
    for (float temperature : {0.0f, 1.5f})
      for (uint32_t fresh : {1u, 2u, 4u}) {
        GenerateOptions options;
        options.maxNew = fresh;
        options.sampling = {temperature, temperature > 0 ? 5 : 0, 7};
        expectSame(prompts, options,
                   std::to_string(prompts.size()) + " prompts, " + std::to_string(fresh) + " new, temperature " +
                       std::to_string(temperature));
      }
}

TEST_F(GenerateEntries, StopIdsAndTheContextEndRows) {
  GenerateOptions options;
  options.maxNew = 100;
  options.sampling = {1.0f, 0, 3};
  expectSame(several, options, "to the end of the context");
  for (int32_t stop = 0; stop < static_cast<int32_t>(tinyVocab); ++stop) {
    options.stopIds = {stop, (stop + 4) % 11};
    expectSame(several, options, "stop " + std::to_string(stop));
  }
  options.stopIds = {};
  for (int32_t id = 0; id < static_cast<int32_t>(tinyVocab); ++id)
    options.stopIds.push_back(id);
  expectSame(several, options, "every first token stops");
}

TEST_F(GenerateEntries, ACancelledRequestEndsAndTheNextOneRuns) {
  Session session = open();
  std::atomic<bool> cancel = true;
  GenerateOptions options;
  options.cancel = &cancel;
  options.maxNew = 5;
  for (const Sample &sample : run(session, several, options, GenerateMode::Graph)) {
    EXPECT_EQ(sample.finish, Finish::Cancelled);
    EXPECT_TRUE(sample.ids.empty());
  }
  for (const Sample &sample : run(session, several, options, GenerateMode::Steps)) {
    EXPECT_EQ(sample.finish, Finish::Cancelled);
    EXPECT_EQ(sample.ids.size(), 1u);
  }
  EXPECT_STREQ(nameOf(Finish::Cancelled), "cancelled");
  cancel = false;
  EXPECT_EQ(run(session, several, options, GenerateMode::Graph)[2].ids.size(), 5u);
}

TEST_F(GenerateEntries, ACallbackMayThrow) {
  Session session = open();
  GenerateOptions options;
  options.onToken = [](size_t, int32_t) { throw std::runtime_error("full"); };
  EXPECT_THROW(run(session, several, options, GenerateMode::Graph), std::runtime_error);
  options.onToken = nullptr;
  options.maxNew = 3;
  EXPECT_EQ(run(session, several, options, GenerateMode::Graph)[0].ids.size(), 3u);
}

TEST_F(GenerateEntries, ARequestThatDoesNotFitIsRefusedOrGoesByStep) {
  Session session = open(), without = open({{4}, {1}, 0, "cpu"});
  GenerateOptions options;
  options.maxNew = 2;
  const Thrown none = thrownBy([&] { run(without, one, options, GenerateMode::Graph); });
  EXPECT_EQ(none.code, 2);
  EXPECT_NE(none.message.find("step by step"), std::string::npos) << none.message;
  options.stopIds.assign(65, 3);
  EXPECT_EQ(thrownBy([&] { run(session, one, options, GenerateMode::Graph); }).code, 2);
  EXPECT_EQ(run(session, one, options, GenerateMode::Auto).size(), 1u);
  options.stopIds = {};
  options.force = [](size_t, int32_t) { return 4; };
  EXPECT_EQ(thrownBy([&] { run(session, one, options, GenerateMode::Graph); }).code, 2);
  EXPECT_EQ(run(session, one, options, GenerateMode::Auto)[0].ids, (std::vector<int32_t>{4, 4}));
  const Prompts bad = {{0, 99}};
  options.force = nullptr;
  EXPECT_EQ(thrownBy([&] { run(session, bad, options, GenerateMode::Graph); }).code, 3);
}

} // namespace
