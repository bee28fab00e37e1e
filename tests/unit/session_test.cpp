// Sessions: however prompts are cut, packed and batched, a row sees the same sequence.
#include "runtime/session/device.h"
#include "runtime/session/generate.h"
#include "tests/unit/tiny_plan.h"

#include <cmath>
#include <gtest/gtest.h>

using namespace nanort;
using namespace nanort::test;

namespace {

// Launches over more tokens may sum in another order: a few units in the last place of sums of at most 8 terms of
// magnitude about 1.
constexpr float tolerance = 4e-6f;

class Sessions : public testing::Test {
protected:
  TempDir dir;

  Session open(const TinyOptions &options = {}) {
    const auto plan = openPlan(dir, tinyPlan(options));
    return Session(plan, 0, makeCpuExecutor(plan, 0, Weights::random(plan, 1), {1, 1, true}));
  }

  static std::vector<float> cache(Session &session) {
    const schema::Program &program = session.plan().program(0);
    for (uint32_t i = 0; i < program.buffers()->size(); ++i)
      if (program.buffers()->Get(i)->space() == schema::Space::Kv) {
        std::vector<float> values(program.buffers()->Get(i)->bytes() / 4);
        session.executor().read(i, values.data(), values.size() * 4);
        return values;
      }
    return {};
  }

  static void expectNear(const std::vector<float> &a, const std::vector<float> &b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i)
      ASSERT_NEAR(a[i], b[i], tolerance) << i;
  }

  static std::vector<float> logits(Session &session, const std::vector<int32_t> &ids,
                                   std::vector<float> *losses = nullptr) {
    std::vector<float> all;
    session.score(ids, true, [&](size_t first, std::span<const float> nll, std::span<const float> part) {
      EXPECT_EQ(first * tinyVocab, all.size());
      all.insert(all.end(), part.begin(), part.end());
      if (losses)
        losses->insert(losses->end(), nll.begin(), nll.end());
    });
    return all;
  }
};

const std::vector<int32_t> nine = {1, 5, 9, 2, 2, 10, 0, 7, 3};

TEST_F(Sessions, ChunksDoNotChangeAPrompt) {
  Session chunked = open({{4}, {1}, 0, "cpu"}), whole = open({{12}, {1}, 0, "cpu"}),
          mixed = open({{2, 4}, {1}, 0, "cpu"});
  const Session::Feed feed[] = {{0, nine}};
  const int32_t next = whole.prefill(feed).front();
  EXPECT_EQ(chunked.prefill(feed).front(), next);
  EXPECT_EQ(mixed.prefill(feed).front(), next);
  expectNear(cache(whole), cache(chunked));
  expectNear(cache(whole), cache(mixed));
  EXPECT_EQ(chunked.length(0), 9u);
}

TEST_F(Sessions, DecodingIsPrefillOneAtATime) {
  Session prefilled = open(), decoded = open();
  const Session::Feed all[] = {{0, nine}}, first[] = {{0, std::span(nine).first(1)}};
  int32_t next = decoded.prefill(first).front();
  for (size_t i = 1; i < nine.size(); ++i) {
    const Session::Token token[] = {{0, nine[i]}};
    next = decoded.decode(token).front();
  }
  EXPECT_EQ(prefilled.prefill(all).front(), next);
  expectNear(cache(prefilled), cache(decoded));
}

TEST_F(Sessions, RaggedRowsShareChunks) {
  const std::vector<int32_t> five = {3, 3, 8, 1, 6};
  Session together = open(), apart = open();
  const Session::Feed both[] = {{1, five}, {0, nine}};
  const std::vector<int32_t> next = together.prefill(both);
  const Session::Feed one[] = {{0, nine}}, two[] = {{1, five}};
  EXPECT_EQ(apart.prefill(one).front(), next[1]);
  EXPECT_EQ(apart.prefill(two).front(), next[0]);
  expectNear(cache(together), cache(apart));

  // Row 1 goes on alone, in a batch entry whose slot 0 is padding.
  const Session::Token token[] = {{1, 4}};
  const int32_t alone = together.decode(token).front();
  const Session::Token pair[] = {{0, 2}, {1, 4}};
  EXPECT_EQ(apart.decode(pair)[1], alone);
  EXPECT_EQ(together.length(0), 9u);
  EXPECT_EQ(together.length(1), 6u);
}

TEST_F(Sessions, SecondTurnContinuesTheFirst) {
  Session turns = open(), once = open();
  const Session::Feed a[] = {{0, std::span(nine).first(4)}}, b[] = {{0, std::span(nine).subspan(4)}},
                      all[] = {{0, nine}};
  turns.prefill(a);
  EXPECT_EQ(turns.prefill(b).front(), once.prefill(all).front());
  expectNear(cache(turns), cache(once));
}

TEST_F(Sessions, ResetForgets) {
  Session used = open(), fresh = open();
  const Session::Feed feed[] = {{0, nine}}, other[] = {{0, std::span(nine).subspan(3)}};
  used.prefill(other);
  used.reset();
  EXPECT_EQ(used.prefill(feed).front(), fresh.prefill(feed).front());
}

TEST_F(Sessions, ScoringInChunks) {
  Session chunked = open(), whole = open({{12}, {1}, 12, "cpu"});
  std::vector<float> a, b;
  const std::vector<float> left = logits(chunked, nine, &a), right = logits(whole, nine, &b);
  expectNear(left, right);
  expectNear(a, b);
  // The losses are those of the logits.
  for (size_t t = 0; t + 1 < nine.size(); ++t) {
    double sum = 0;
    for (size_t v = 0; v < tinyVocab; ++v)
      sum += std::exp(double(right[t * tinyVocab + v]));
    EXPECT_NEAR(b[t], std::log(sum) - right[t * tinyVocab + static_cast<size_t>(nine[t + 1])], 1e-5);
  }
  EXPECT_EQ(b.back(), 0);
  EXPECT_EQ(chunked.length(0), 0u);
}

TEST_F(Sessions, GreedyGenerationFollowsTheLogits) {
  Session session = open();
  const std::vector<std::vector<int32_t>> prompts = {{1, 5, 9}};
  GenerateOptions options;
  options.maxNew = 5;
  const std::vector<Sample> samples = generate(session, prompts, options);
  std::vector<int32_t> all = prompts[0];
  all.insert(all.end(), samples[0].ids.begin(), samples[0].ids.end());
  const std::vector<float> scores = logits(session, all);
  for (size_t i = 0; i < 5; ++i) {
    const auto row = scores.begin() + static_cast<std::ptrdiff_t>((2 + i) * tinyVocab);
    EXPECT_EQ(samples[0].ids[i], std::max_element(row, row + tinyVocab) - row);
  }
  EXPECT_EQ(samples[0].finish, Finish::Length);
}

TEST_F(Sessions, SamplesDoNotDependOnGroups) {
  Session narrow = open({{4}, {1}, 0, "cpu"}), wide = open({{4, 8}, {1, 4}, 0, "cpu"});
  EXPECT_EQ(narrow.rows(), 1u);
  EXPECT_EQ(wide.rows(), 4u);
  const std::vector<std::vector<int32_t>> prompts(7, {1, 5, 9});
  GenerateOptions options;
  options.maxNew = 6;
  options.sampling = {1.0f, 0, 9};
  const auto a = generate(narrow, prompts, options), b = generate(wide, prompts, options);
  bool differ = false;
  for (size_t i = 0; i < 7; ++i) {
    EXPECT_EQ(a[i].ids, b[i].ids) << i;
    differ |= a[i].ids != a[0].ids;
  }
  EXPECT_TRUE(differ) << "rows draw apart";
}

TEST_F(Sessions, StopsAndHooks) {
  Session session = open();
  const std::vector<std::vector<int32_t>> prompts = {{1, 5, 9}, {2}};
  GenerateOptions options;
  options.maxNew = 20;
  std::vector<std::vector<int32_t>> seen(2);
  options.onToken = [&](size_t sample, int32_t id) { seen[sample].push_back(id); };
  options.stopIds = {7};
  // Sample 0 is forced to 4, 4, stop; sample 1 goes on to the end of the context.
  options.force = [&](size_t sample, int32_t) -> std::optional<int32_t> {
    return sample == 0 ? (seen[0].size() < 2 ? 4 : 7) : 3;
  };
  const std::vector<Sample> samples = generate(session, prompts, options);
  EXPECT_EQ(samples[0].ids, (std::vector<int32_t>{4, 4}));
  EXPECT_EQ(samples[0].finish, Finish::Stop);
  EXPECT_EQ(samples[1].ids.size(), tinyPositions - 1);
  EXPECT_EQ(samples[1].finish, Finish::Context);
  EXPECT_EQ(seen[1], samples[1].ids);
}

TEST_F(Sessions, RefusesWhatDoesNotFit) {
  Session session = open();
  GenerateOptions options;
  const std::vector<std::vector<int32_t>> tooLong = {std::vector<int32_t>(tinyPositions, 1)};
  EXPECT_EQ(thrownBy([&] { generate(session, tooLong, options); }).code, 3);
  for (int32_t id : {-1, static_cast<int32_t>(tinyVocab), INT32_MAX}) {
    const std::vector<std::vector<int32_t>> prompts = {{0, id}};
    const Thrown thrown = thrownBy([&] { generate(session, prompts, options); });
    EXPECT_EQ(thrown.code, 3);
    EXPECT_NE(thrown.message.find(std::to_string(id)), std::string::npos) << thrown.message;
  }
  const std::vector<std::vector<int32_t>> empty = {{}};
  EXPECT_EQ(thrownBy([&] { generate(session, empty, options); }).code, 3);
  const Session::Feed outside[] = {{2, nine}}, twice[] = {{0, nine}, {0, nine}};
  EXPECT_EQ(thrownBy([&] { session.prefill(outside); }).code, 3);
  EXPECT_EQ(thrownBy([&] { session.prefill(twice); }).code, 3);
  Session noScore = open({{4}, {1}, 0, "cpu"});
  EXPECT_EQ(thrownBy([&] { logits(noScore, nine); }).code, 3);
}

TEST(Devices, ProgramChoice) {
  TempDir dir;
  Json plan = tinyPlan();
  for (const char *target : {"sm_80", "sm_90a", "sm_100a"}) {
    TinyOptions options;
    options.target = target;
    plan["programs"].push_back(tinyPlan(options)["programs"][0]);
  }
  const auto opened = openPlan(dir, plan);
  const auto chosen = [&](const char *arch, const char *name = "") {
    return opened->program(chooseProgramFor(*opened, arch, name)).target()->str();
  };
  EXPECT_EQ(chosen(""), "cpu");
  EXPECT_EQ(chosen("sm_90"), "sm_90a");
  EXPECT_EQ(chosen("sm_89"), "sm_80"); // same major
  EXPECT_EQ(chosen("sm_103"), "sm_100a");
  EXPECT_EQ(chosen("sm_120"), "sm_100a"); // older sources, compiled anew
  EXPECT_EQ(chosen("sm_90", "sm_80"), "sm_80");
  EXPECT_EQ(chosen("", "sm_80"), "sm_80");
  EXPECT_EQ(thrownBy([&] { chosen("sm_75"); }).code, 5);
  EXPECT_EQ(thrownBy([&] { chosen("", "sm_42"); }).code, 2);
  EXPECT_EQ(thrownBy([&] { chosen("sm_90", "cpu"); }).code, 5);

  TinyOptions options;
  options.target = "sm_90a";
  const auto only = openPlan(dir, tinyPlan(options));
  EXPECT_EQ(chooseProgramFor(*only, "", ""), 0u) << "the CPU runs any program";
}

TEST(Devices, Names) {
  EXPECT_FALSE(chooseDevice("cpu").cuda);
  for (const char *bad : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:1x", ""})
    EXPECT_EQ(thrownBy([&] { chooseDevice(bad); }).code, 2) << bad;
}

} // namespace
