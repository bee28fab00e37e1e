// The bundled, trained model: what it knows must survive the whole path.
#include "runtime/session/device.h"
#include "runtime/session/session.h"
#include "tests/e2e/support.h"

#include "nlohmann/json.hpp"
#include "gtest/gtest.h"

#include <cmath>

using Json = nlohmann::json;

namespace {

// Upstream's mean negative log-likelihood on the held-out text (f32 and bf16 agree to four digits).
constexpr double upstreamNll = 2.5615;

std::filesystem::path plan(const std::string &precision) {
  return e2e::plan(e2e::lexicon() / "checkpoint", {"--target", "cpu", "--precision", precision, "--batch", "1,4"});
}

double heldOut(const std::string &precision) {
  Json result =
      Json::parse(e2e::output("nanort", {"eval", plan(precision).string(), "--device", "cpu", "--json", "--ids",
                                         (e2e::lexicon() / "eval.safetensors").string() + ":heldout_ids"}));
  EXPECT_EQ(result["rows"], 64);
  EXPECT_EQ(result["tokens"], 64 * 511);
  return result["mean_nll"];
}

TEST(Lexicon, HeldOutLikelihood) {
  EXPECT_NEAR(heldOut("f32"), upstreamNll, 0.0005 * upstreamNll);
  EXPECT_NEAR(heldOut("bf16"), upstreamNll, 0.002 * upstreamNll);
  // Weights of three bits of mantissa, rounded to nearest: 0.6 % here, and a wrong scale or step costs far more.
  EXPECT_NEAR(heldOut("fp8"), upstreamNll, 0.01 * upstreamNll);
}

Json samples() { return Json::parse(e2e::readFile(e2e::lexicon() / "samples.json")); }

TEST(Lexicon, AnswersAllSamplesInF32) {
  for (const Json &sample : samples()) {
    Json run = Json::parse(e2e::output("nanort", {"run", plan("f32").string(), "--device", "cpu", "--json", "--chat",
                                                  sample["prompt"].get<std::string>()}));
    EXPECT_EQ(run["prompt_ids"], sample["prompt_ids"]);
    EXPECT_EQ(run["ids"][0], sample["bf16_greedy_ids"]) << sample["prompt"];
    EXPECT_EQ(run["text"][0], sample["text"]);
    EXPECT_EQ(run["finish"][0], "stop");
  }
}

/// Logits of the last position of a text.
std::vector<float> lastLogits(nanort::Session &session, const std::vector<int32_t> &ids) {
  std::vector<float> result;
  session.score(ids, true, [&](size_t, std::span<const float> nll, std::span<const float> logits) {
    size_t vocab = logits.size() / nll.size();
    result.assign(logits.end() - static_cast<std::ptrdiff_t>(vocab), logits.end());
  });
  return result;
}

// In bf16 the sample is fed token by token; every token that upstream sampled itself (not the calculator's, which its
// engine forced) must be the greedy choice, or as good within 0.05: bf16 logits of that size have steps of 0.06.
TEST(Lexicon, FollowsAllSamplesInBf16) {
  auto file = nanort::Plan::open(plan("bf16"));
  nanort::Weights weights = nanort::Weights::fromFile(file, nanort::weightsPath(*file));
  nanort::Session session(file, 0, nanort::makeCpuExecutor(file, 0, weights, {}));
  constexpr int32_t outputStart = 4094, outputEnd = 4095;
  for (const Json &sample : samples()) {
    session.reset();
    std::vector<int32_t> context = sample["prompt_ids"], expected = sample["bf16_greedy_ids"];
    const nanort::Session::Feed feeds[] = {{0, context}};
    int32_t next = session.prefill(feeds)[0];
    bool forced = false;
    for (size_t i = 0; i < expected.size(); ++i) {
      forced |= expected[i] == outputStart;
      if (next != expected[i] && !forced) {
        nanort::Session probe(file, 0, nanort::makeCpuExecutor(file, 0, weights, {}));
        std::vector<float> logits = lastLogits(probe, context);
        EXPECT_NEAR(logits[static_cast<size_t>(next)], logits[static_cast<size_t>(expected[i])], 0.05)
            << sample["prompt"] << " token " << i;
      }
      forced &= expected[i] != outputEnd;
      context.push_back(expected[i]);
      const nanort::Session::Token token[] = {{0, expected[i]}};
      next = session.decode(token)[0];
    }
    EXPECT_EQ(next, 4091) << "assistant_end after: " << sample["text"];
  }
}

TEST(Lexicon, SamplesShareAPromptAndDrawApart) {
  auto ask = [&](const std::string &samples, const std::string &seed) {
    return Json::parse(e2e::output("nanort", {"run", plan("f32").string(), "--device", "cpu", "--json", "--chat",
                                              "Use river in a sentence.", "-t", "2", "-k", "50", "--samples", samples,
                                              "--seed", seed, "-n", "24"}));
  };
  // Six samples on a plan of batch 4 run in two groups; the first of them are what fewer samples give.
  Json six = ask("6", "7"), again = ask("6", "7"), three = ask("3", "7"), other = ask("6", "8");
  EXPECT_EQ(six["ids"], again["ids"]);
  ASSERT_EQ(six["ids"].size(), 6u);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(six["ids"][i], three["ids"][i]) << i;
  EXPECT_NE(six["ids"], other["ids"]);
  EXPECT_NE(six["ids"][0], six["ids"][1]);
}

TEST(Lexicon, TokenizerTextsRoundTripThroughTheTool) {
  Json cases = Json::parse(e2e::readFile(e2e::lexicon() / "tokenizer_cases.json"));
  size_t checked = 0;
  for (const Json &item : cases["cases"]) {
    std::string text = item["text"];
    if (text.empty() || text.find('\0') != std::string::npos)
      continue; // no such argument on a command line; the tokenizer's own test covers them
    Json run = Json::parse(
        e2e::output("nanort", {"run", plan("f32").string(), "--device", "cpu", "--json", "--prompt", text, "-n", "1"}));
    std::vector<int32_t> expected{4087};
    for (int32_t id : item["ids"])
      expected.push_back(id);
    EXPECT_EQ(run["prompt_ids"].get<std::vector<int32_t>>(), expected) << text;
    ++checked;
  }
  EXPECT_GT(checked, 5u);
}

TEST(Lexicon, RefusesWhatDoesNotFit) {
  std::string ids = "1";
  for (int i = 1; i < 512; ++i)
    ids += ",1";
  auto result = e2e::run("nanort", {"run", plan("f32").string(), "--device", "cpu", "--ids", ids});
  EXPECT_EQ(result.code, 3) << result.err;
  EXPECT_NE(result.err.find("512"), std::string::npos) << result.err;
  // One less fits, and ends at the end of the context.
  result = e2e::run("nanort",
                    {"run", plan("f32").string(), "--device", "cpu", "--ids", ids.substr(2), "--no-stop", "--json"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(Json::parse(result.out)["finish"][0], "context");
}

} // namespace
