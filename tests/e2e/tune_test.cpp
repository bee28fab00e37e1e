// nanort tune on a driver that records, and what nanocc makes of its file.
#include "tests/e2e/support.h"

#include "nlohmann/json.hpp"
#include "gtest/gtest.h"

#include <algorithm>
#include <fstream>
#include <set>

using Json = nlohmann::ordered_json;

namespace {

class Tune : public testing::Test {
protected:
  void SetUp() override {
    for (const char *name : {"NANORT_CUDA_DRIVER", "NANORT_NVRTC", "NANORT_CUBLASLT"})
      setenv(name, NANO_FAKE_CUDA, 1);
    setenv("NANORT_CACHE_DIR", scratch.path.c_str(), 1); // the fake's images are nobody else's
  }
  void TearDown() override {
    for (const char *name : {"NANORT_CUDA_DRIVER", "NANORT_NVRTC", "NANORT_CUBLASLT", "NANORT_CACHE_DIR"})
      unsetenv(name);
  }

  std::string planFor(const std::string &target) {
    return e2e::plan(e2e::golden("classic-mha"), {"--target", target, "--prefill", "64"}).string();
  }

  const e2e::Scratch scratch;
  const std::string times = (scratch.path / "times.json").string();
};

TEST_F(Tune, EveryChoiceIsMeasuredAndTheCompilerTakesTheShortest) {
  const std::string plan = planFor("sm_90a");
  const e2e::Result tuned = e2e::run("nanort", {"tune", plan, "-o", times, "--rounds", "2"});
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  std::ifstream stream(times);
  const Json file = Json::parse(stream);
  EXPECT_EQ(file["format"], 2);
  EXPECT_EQ(file["target"], "sm_90a");
  EXPECT_EQ(file["device"], "Fake GPU");
  std::set<std::pair<std::string, std::string>> known;
  std::set<std::string> problems;
  for (const Json &time : file["times"]) {
    EXPECT_GT(time["us"].get<double>(), 0);
    EXPECT_TRUE(known.emplace(time["problem"], time["choice"]).second) << time;
    problems.insert(time["problem"]);
  }
  auto measures = [&](const std::string &meaning, const std::string &rows, const std::string &engine) {
    return std::any_of(known.begin(), known.end(), [&](const auto &k) {
      return k.first.starts_with(meaning + " ") && k.first.ends_with(" n=" + rows) &&
             k.second.starts_with(engine + " ");
    });
  };
  EXPECT_TRUE(measures("product_add", "1", "stream") && measures("product_add", "64", "wgmma")) << "decode and prefill";
  EXPECT_TRUE(measures("attention_step", "1", "cluster") && measures("attention_step", "1", "spread"));
  EXPECT_GT(known.size(), 2 * problems.size());

  // Every launch with a choice now goes by the measurements.
  const std::string model = (e2e::imported(e2e::golden("classic-mha")) / "model.mlir").string();
  const e2e::Result compiled =
      e2e::run("nanocc", {model, "--target", "sm_90a", "--prefill", "64", "--tuning", times, "--report", "json"});
  ASSERT_EQ(compiled.code, 0) << compiled.err;
  EXPECT_EQ(compiled.err.find("--tuning"), std::string::npos) << compiled.err; // nothing is left to predict
  const Json report = Json::parse(compiled.out);
  size_t chosen = 0, attentions = 0;
  for (const Json &entry : report["entries"])
    for (const Json &node : entry["nodes"])
      for (const std::string line : node.value("considered", Json::array())) {
        ++chosen;
        attentions += node["kernel"].get<std::string>().starts_with("attention");
        EXPECT_NE(line.find("us measured"), std::string::npos) << line;
      }
  EXPECT_GT(chosen, attentions);
  EXPECT_GT(attentions, 0u);
}

// Nothing fused: the library serves the products.
TEST_F(Tune, APlanWithoutFusionsIsMeasured) {
  const std::string plan =
      e2e::plan(e2e::golden("head-gqa"), {"--target", "sm_90a", "--prefill", "64", "--fuse", "none"}).string();
  const e2e::Result tuned = e2e::run("nanort", {"tune", plan, "-o", times, "--rounds", "1"});
  ASSERT_EQ(tuned.code, 0) << tuned.err;
  EXPECT_NE(tuned.err.find("3 of 18: attention_chunk T=bf16 heads=4 kv_heads=1 D=32 ring=129 window=128 n=64: "),
            std::string::npos)
      << tuned.err;
  std::ifstream stream(times);
  const Json file = Json::parse(stream);
  std::set<std::string> engines; // of attentions
  for (const Json &time : file["times"]) {
    const std::string problem = time["problem"], choice = time["choice"];
    if (problem.starts_with("attention_chunk "))
      engines.insert(choice.substr(0, choice.find(' ')));
  }
  EXPECT_TRUE(engines.contains("simt") && engines.contains("wgmma"));
}

// Hopper's own engines, on a driver that holds tensor maps to their rules.
TEST_F(Tune, ForcedKernelsGetTheirTensorMaps) {
  const std::string plan = e2e::plan(e2e::golden("head-gqa"),
                                     {"--target", "sm_90a", "--prefill", "64", "--template",
                                      "prefill_64/h.*=wgmma,tile_m=64,tile_n=64,stages=2,split=1,share=1,blocks=132",
                                      "--template", "prefill_64/kv.*=wgmma,tile_q=64,tile_k=64,stages=2"})
                               .string();
  const std::string inspected = e2e::output("nanort", {"inspect", plan, "--launches"});
  EXPECT_NE(inspected.find("product_mix_wgmma_bf16"), std::string::npos) << inspected;
  EXPECT_NE(inspected.find("attention_chunk_wgmma_bf16"), std::string::npos) << inspected;
  const e2e::Result run = e2e::run("nanort", {"bench", plan, "--mode", "graph", "--random-weights", "1", "--prompt",
                                              "9", "--new", "3", "--repeat", "1", "--device", "cuda"});
  EXPECT_EQ(run.code, 0) << run.err;

  // The same tokens as without them, by the references.
  auto ids = [](const std::string &of) {
    return Json::parse(e2e::output("nanort", {"run", of, "--device", "cpu", "--program", "sm_90a", "--ids",
                                              "1,2,3,4,5,6,7", "-n", "8", "--no-stop", "--json"}))["ids"];
  };
  EXPECT_EQ(ids(plan), ids(e2e::plan(e2e::golden("head-gqa"), {"--target", "sm_90a", "--prefill", "64"}).string()));
}

TEST_F(Tune, RefusesWhatItCannotMeasure) {
  const std::string plan = planFor("sm_90a");
  auto refused = [&](const std::vector<std::string> &flags, int code, const std::string &message) {
    std::vector<std::string> arguments{"tune"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const e2e::Result result = e2e::run("nanort", arguments);
    EXPECT_EQ(result.code, code) << result.err;
    EXPECT_NE(result.err.find(message), std::string::npos) << result.err;
  };
  refused({plan, "-o", times, "--device", "cpu"}, 2, "only a CUDA device's kernels have choices");
  refused({plan, "-o", times, "--random-weights", "1"}, 2, "--random-weights"); // it multiplies numbers of its own
  refused({plan, "-o", "/nonexistent/times.json"}, 3, "/nonexistent");
  refused({planFor("sm_80"), "-o", times}, 5, "is not for Fake GPU");
  setenv("NANORT_NVRTC", "/nonexistent", 1);
  refused({plan, "-o", times, "--no-cache"}, 5, "there is no NVRTC");
  EXPECT_FALSE(std::filesystem::exists(times));
}

} // namespace
