// nanort bench on the CPU: what it prints and what it refuses. Nothing here depends on how fast this machine is.
#include "tests/e2e/support.h"

#include "nlohmann/json.hpp"
#include "gtest/gtest.h"

#include <algorithm>

using Json = nlohmann::ordered_json;

namespace {

e2e::Result bench(const std::vector<std::string> &flags, const std::string &fresh = "4") {
  const std::string plan = e2e::plan(e2e::golden("classic-mha"), {"--target", "cpu", "--batch", "1,2"}).string();
  std::vector<std::string> arguments{"bench", plan,    "--device", "cpu",      "--prompt",
                                     "5",     "--new", fresh,      "--repeat", "2"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  return e2e::run("nanort", arguments);
}

void expectUsage(const e2e::Result &result, const std::string &message) {
  EXPECT_EQ(result.code, 2) << result.err;
  EXPECT_NE(result.err.find(message), std::string::npos) << result.err;
}

TEST(Bench, TheLastLineIsOneObjectWithTheColumnsOfTheContract) {
  e2e::Result result = bench({"--batch", "1,2", "--format", "json"});
  ASSERT_EQ(result.code, 0) << result.err;
  ASSERT_EQ(result.out.back(), '\n');
  const size_t before = result.out.rfind('\n', result.out.size() - 2);
  const Json report = Json::parse(result.out.substr(before == std::string::npos ? 0 : before + 1));
  EXPECT_EQ(report["device"], "cpu");
  EXPECT_EQ(report["mode"], "fused"); // what nanocc makes unless told otherwise
  ASSERT_EQ(report["results"].size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    const Json &r = report["results"][i];
    EXPECT_EQ(r["batch"], i + 1);
    EXPECT_EQ(r["prompt"], 5);
    EXPECT_EQ(r["new"], 4);
    for (const char *key :
         {"ttft_ms", "tpot_ms_mean", "tpot_ms_p50", "tpot_ms_p99", "decode_ms", "total_ms", "tok_s"}) {
      ASSERT_TRUE(r.contains(key)) << key;
      EXPECT_GT(r[key].get<double>(), 0) << key;
    }
    EXPECT_GE(r["tpot_ms_p99"], r["tpot_ms_p50"]);
    EXPECT_NEAR(r["decode_ms"].get<double>(), 3 * r["tpot_ms_mean"].get<double>(), 1e-9);
    EXPECT_GT(r["launches_per_step"], 0);
    EXPECT_TRUE(r["mbu"].is_null());        // no measured ceiling
    EXPECT_TRUE(r["vram_bytes"].is_null()); // no VRAM
  }
}

// In text the device's line says what was sampled; greedy is what nobody asked for.
TEST(Bench, SamplesLikeRun) {
  const e2e::Result greedy = bench({"--format", "json"});
  const e2e::Result sampled = bench({"--format", "json", "-t", "0.8", "-k", "50"});
  ASSERT_EQ(greedy.code, 0) << greedy.err;
  ASSERT_EQ(sampled.code, 0) << sampled.err;
  EXPECT_EQ(Json::parse(greedy.out)["temperature"], 0);
  EXPECT_EQ(Json::parse(greedy.out)["top_k"], 0);
  EXPECT_EQ(Json::parse(sampled.out)["temperature"], 0.8);
  EXPECT_EQ(Json::parse(sampled.out)["top_k"], 50);
  const e2e::Result text = bench({"--temperature", "0.8", "--top-k", "50"});
  EXPECT_NE(text.out.find("temperature 0.8, top-k 50"), std::string::npos) << text.out;
  expectUsage(bench({"-t", "-1"}), "the temperature is 0 or more");
  expectUsage(bench({"-t", "nan"}), "the temperature is 0 or more");
  expectUsage(bench({"-k", "x"}), "-k");
}

TEST(Bench, PlansAreComparedInTurns) {
  const std::string other =
      e2e::plan(e2e::golden("classic-mha"), {"--target", "cpu", "--batch", "1,2", "--fuse", "none"}).string();
  const e2e::Result json = bench({"--batch", "1,2", "--compare", other, "--format", "json"});
  ASSERT_EQ(json.code, 0) << json.err;
  const Json results = Json::parse(json.out)["results"];
  ASSERT_EQ(results.size(), 4u);
  for (size_t i = 0; i < 4; ++i)
    EXPECT_EQ(results[i]["batch"], i / 2 + 1);
  EXPECT_EQ(results[1]["plan"], other);
  EXPECT_LT(results[0]["launches_per_step"], results[1]["launches_per_step"]); // fused, and not
  const e2e::Result text = bench({"--compare", other});
  EXPECT_NE(text.out.find("   1.000     1.000  "), std::string::npos) << text.out; // the first is its own reference
  const std::string small = e2e::plan(e2e::golden("classic-mha"), {"--target", "cpu"}).string();
  expectUsage(bench({"--batch", "2", "--compare", small}), small + " decodes batches of 1");
  expectUsage(bench({"--full-edges"}), "only the graphs of a CUDA device have edges");
}

TEST(Bench, TextHasALinePerBatch) {
  e2e::Result result = bench({"--batch", "2,1", "--mode", "eager"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 4); // device, heads, two batches
}

// On a driver that records, and whose kernels take a microsecond each.
TEST(Bench, ExplainHasALineForEveryLaunchOfAStep) {
  for (const char *name : {"NANORT_CUDA_DRIVER", "NANORT_NVRTC", "NANORT_CUBLASLT"})
    setenv(name, NANO_FAKE_CUDA, 1);
  const e2e::Scratch cache; // the fake's images are nobody else's
  setenv("NANORT_CACHE_DIR", cache.path.c_str(), 1);
  const std::string plan = e2e::plan(e2e::golden("classic-mha"), {"--target", "sm_90a", "--batch", "2"}).string();
  auto explain = [&](const std::string &format) {
    return e2e::run("nanort", {"bench", plan, "--batch", "2", "--prompt", "5", "--new", "4", "--repeat", "1", "--mode",
                               "graph", "--random-weights", "1", "--no-cache", "--explain", "--format", format});
  };
  const e2e::Result json = explain("json"), text = explain("text");
  setenv("NANORT_NVRTC", "/nonexistent", 1);
  const e2e::Result without = explain("json");
  for (const char *name : {"NANORT_CUDA_DRIVER", "NANORT_NVRTC", "NANORT_CUBLASLT", "NANORT_CACHE_DIR"})
    unsetenv(name);

  ASSERT_EQ(json.code, 0) << json.err;
  const Json report = Json::parse(json.out);
  ASSERT_EQ(report["explain"].size(), 2u);
  const Json &step = report["explain"][0], &prefill = report["explain"][1];
  EXPECT_EQ(prefill["batch"], 2);
  EXPECT_EQ(prefill["entry"], "prefill_128"); // the smallest that holds two prompts of 5
  EXPECT_NEAR(prefill["step_us"].get<double>(), prefill["launches"].size(), 1e-9);
  EXPECT_EQ(step["batch"], 2);
  EXPECT_EQ(step["entry"], "decode_2");
  const double launches = static_cast<double>(step["launches"].size());
  EXPECT_EQ(step["launches"].size(), report["results"][0]["launches_per_step"].get<size_t>());
  EXPECT_NEAR(step["step_us"].get<double>(), launches, 1e-9);
  EXPECT_GT(step["predicted_us"].get<double>(), 0);
  for (const Json &launch : step["launches"]) {
    EXPECT_NEAR(launch["us"].get<double>(), 1, 1e-9);
    EXPECT_NEAR(launch["share"].get<double>(), 1 / launches, 1e-9);
    EXPECT_NEAR(launch["gb_s"].get<double>(), launch["bytes"].get<double>() / 1e3, 1e-6);
    EXPECT_GT(launch["predicted_us"].get<double>(), 0);
    EXPECT_EQ(launch["location"].get<std::string>().rfind("model.mlir:", 0), 0u);
  }
  EXPECT_NE(text.out.find("decode_2 by launches with timers, median of 2 runs: "), std::string::npos) << text.out;
  EXPECT_EQ(std::count(text.out.begin(), text.out.end(), '\n'),
            7 + step["launches"].size() + prefill["launches"].size());
  EXPECT_EQ(without.code, 5);
  EXPECT_NE(without.err.find("install NVRTC"), std::string::npos) << without.err;
}

TEST(Bench, RefusesWhatThePlanOrTheDeviceLacks) {
  expectUsage(bench({"--batch", "3"}), "decodes batches of 1, 2; compile with nanocc --batch");
  expectUsage(bench({"--batch", "1,x"}), "pass numbers of rows such as 1,8");
  expectUsage(bench({"--batch", "0"}), "pass numbers of rows such as 1,8");
  expectUsage(bench({"--mode", "graph"}), "needs a CUDA device");
  expectUsage(bench({"--mode", "graph-full"}), "needs a CUDA device");
  expectUsage(bench({"--explain"}), "--explain takes times of a GPU's launches");
  expectUsage(bench({"--mode", "sideways"}), "--mode");
  expectUsage(bench({}, "1000000"), "do not fit the context of");
  expectUsage(bench({}, "1"), "--new");
}

} // namespace
