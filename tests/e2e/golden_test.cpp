// Upstream's own outputs against the whole path: checkpoint, model.mlir, plan.fb, CPU executor.
#include "runtime/base/safetensors.h"
#include "runtime/session/device.h"
#include "runtime/session/session.h"
#include "tests/e2e/support.h"

#include "nlohmann/json.hpp"
#include "gtest/gtest.h"

#include <cmath>

using nanort::Safetensors;
using Json = nlohmann::json;

namespace {

template <typename T> std::span<const T> values(const nanort::Tensor &tensor) {
  return {reinterpret_cast<const T *>(tensor.data.data()), tensor.data.size() / sizeof(T)};
}

struct Reference {
  explicit Reference(const std::string &name) : file(Safetensors::open(e2e::golden(name) / "reference.safetensors")) {
    length = file.at("prompt_ids").shape[1];
  }
  std::span<const float> logits() const { return values<float>(file.at("logits")); }
  std::vector<int32_t> prompt(size_t row) const {
    auto ids = values<int32_t>(file.at("prompt_ids")).subspan(row * length, length);
    return {ids.begin(), ids.end()};
  }
  std::vector<int32_t> greedy(size_t row) const {
    auto ids = values<int32_t>(file.at("greedy_ids")).subspan(row * 24, 24);
    return {ids.begin(), ids.end()};
  }
  double upstreamBf16Error() const { return std::stod(file.metadata().at("upstream_bf16_mean_error")); }

  Safetensors file;
  size_t length;
};

struct Difference {
  double max = 0, mean = 0;
};
Difference compare(std::span<const float> a, std::span<const float> b) {
  Difference result;
  EXPECT_LE(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    double delta = std::fabs(static_cast<double>(a[i]) - b[i]);
    EXPECT_FALSE(std::isnan(delta)) << i;
    result.max = std::max(result.max, delta);
    result.mean += delta / static_cast<double>(a.size());
  }
  return result;
}

std::string joined(const std::vector<int32_t> &ids) {
  std::string text;
  for (int32_t id : ids)
    text += (text.empty() ? "" : ",") + std::to_string(id);
  return text;
}

/// A checkpoint, and whether its launches are fused.
class Golden : public testing::TestWithParam<std::tuple<const char *, const char *>> {
protected:
  static const char *name() { return std::get<0>(GetParam()); }

  static std::filesystem::path plan(std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"--target", "cpu", "--fuse", std::get<1>(GetParam())});
    return e2e::plan(e2e::golden(name()), flags);
  }

  /// Logits of both rows through `nanort eval`.
  std::vector<float> evaluate(const std::string &precision) {
    e2e::Scratch scratch;
    e2e::output("nanort", {"eval", plan({"--precision", precision}).string(), "--device", "cpu", "--ids",
                           (e2e::golden(name()) / "reference.safetensors").string() + ":prompt_ids", "--logits",
                           (scratch / "logits.safetensors").string(), "--json"});
    Safetensors file = Safetensors::open(scratch / "logits.safetensors");
    auto logits = values<float>(file.at("logits"));
    return {logits.begin(), logits.end()};
  }
};

TEST_P(Golden, F32LogitsEqualUpstreams) {
  Reference reference(name());
  std::vector<float> logits = evaluate("f32");
  Difference difference = compare(reference.logits(), logits);
  // An independent model in numpy reaches 1.0e-5 and 1.4e-6; the bounds are ten times that, tight
  // enough that a norm epsilon of 1e-5 or one wrong window position fails.
  EXPECT_LE(difference.max, 1e-4);
  EXPECT_LE(difference.mean, 1e-5);
}

TEST_P(Golden, Bf16IsAsCloseAsUpstreamsBf16) {
  Reference reference(name());
  Difference difference = compare(reference.logits(), evaluate("bf16"));
  EXPECT_LE(difference.mean, 1.1 * reference.upstreamBf16Error());
}

TEST_P(Golden, GreedyIdsEqualUpstreams) {
  Reference reference(name());
  auto path = plan({"--precision", "f32"});
  for (size_t row = 0; row < 2; ++row) {
    Json run = Json::parse(e2e::output("nanort", {"run", path.string(), "--device", "cpu", "--ids",
                                                  joined(reference.prompt(row)), "-n", "24", "--no-stop", "--json"}));
    EXPECT_EQ(run["ids"][0].get<std::vector<int32_t>>(), reference.greedy(row)) << "row " << row;
    EXPECT_EQ(run["finish"][0], "length");
  }
}

// Prompts of different lengths side by side, in buckets smaller than they are: rings wrap, chunks carry on, rows must
// not see each other.
TEST_P(Golden, RaggedChunksGiveWhatOnePromptAloneGives) {
  Reference reference(name());
  auto path = Golden::plan({"--precision", "f32", "--batch", "1,4", "--prefill", "24,64"});
  auto plan = nanort::Plan::open(path);
  nanort::Weights weights = nanort::Weights::fromFile(plan, nanort::weightsPath(*plan));
  nanort::Session session(plan, 0, nanort::makeCpuExecutor(plan, 0, weights, {}));
  std::vector<int32_t> a = reference.prompt(0), b = reference.prompt(1), c(b.begin(), b.begin() + 1),
                       d(a.begin(), a.begin() + 131);
  const nanort::Session::Feed feeds[] = {{0, a}, {1, b}, {2, c}, {3, d}};
  std::vector<int32_t> together = session.prefill(feeds);
  EXPECT_EQ(together[0], reference.greedy(0)[0]);
  EXPECT_EQ(together[1], reference.greedy(1)[0]);
  // Decode both reference rows in one batch.
  std::vector<int32_t> rows[2];
  int32_t next[2] = {together[0], together[1]};
  for (int step = 0; step < 24; ++step) {
    rows[0].push_back(next[0]);
    rows[1].push_back(next[1]);
    const nanort::Session::Token tokens[] = {{0, next[0]}, {1, next[1]}};
    std::vector<int32_t> ids = session.decode(tokens);
    next[0] = ids[0];
    next[1] = ids[1];
  }
  EXPECT_EQ(rows[0], reference.greedy(0));
  EXPECT_EQ(rows[1], reference.greedy(1));
  for (auto [row, prompt] : {std::pair(2, &c), std::pair(3, &d)}) {
    session.reset();
    const nanort::Session::Feed alone[] = {{0, *prompt}};
    EXPECT_EQ(session.prefill(alone)[0], together[static_cast<size_t>(row)]);
  }
}

// A missing edge shows as a wrong value under random order, aliasing as a NaN under poison.
TEST_P(Golden, AnyOrderAndPoisonGiveTheSameBits) {
  Reference reference(name());
  auto path = Golden::plan({"--precision", "f32", "--prefill", "64"});
  auto plan = nanort::Plan::open(path);
  nanort::Weights weights = nanort::Weights::fromFile(plan, nanort::weightsPath(*plan));
  auto logits = [&](const nanort::CpuOptions &options) {
    nanort::Session session(plan, 0, nanort::makeCpuExecutor(plan, 0, weights, options));
    std::vector<float> all;
    std::vector<int32_t> prompt = reference.prompt(0);
    session.score(prompt, true, [&](size_t, std::span<const float>, std::span<const float> chunk) {
      all.insert(all.end(), chunk.begin(), chunk.end());
    });
    const nanort::Session::Feed feeds[] = {{0, prompt}};
    all.push_back(static_cast<float>(session.prefill(feeds)[0]));
    return all;
  };
  nanort::CpuOptions plain, poisoned, threaded;
  poisoned.poison = true;
  threaded.threads = 1;
  std::vector<float> expected = logits(plain);
  EXPECT_EQ(logits(poisoned), expected);
  EXPECT_EQ(logits(threaded), expected) << "one thread";
  for (uint64_t seed : {1, 2, 3}) {
    nanort::CpuOptions shuffled;
    shuffled.shuffleSeed = seed;
    shuffled.poison = true;
    EXPECT_EQ(logits(shuffled), expected) << "order of seed " << seed;
  }
}

std::string nameOf(const testing::TestParamInfo<Golden::ParamType> &info) {
  std::string name = std::string(std::get<0>(info.param)) + "_fuse_" + std::get<1>(info.param);
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '-' || c == ','; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(AllGenerations, Golden,
                         testing::Combine(testing::Values("classic-mha", "classic-gqa", "gen-b", "gen-c", "gen-d",
                                                          "head-gqa", "head-window"),
                                          testing::Values("none", "all")),
                         nameOf);

// Every fusion stands alone: each left out once, on the generation that has them all.
INSTANTIATE_TEST_SUITE_P(
    Partly, Golden,
    testing::Combine(testing::Values("head-window"),
                     testing::Values("embed,norm,activation,residual", "attention,norm,activation,residual",
                                     "attention,embed,activation,residual", "attention,embed,norm,residual",
                                     "attention,embed,norm,activation")),
    nameOf);

} // namespace
