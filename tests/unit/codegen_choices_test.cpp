// What can serve a product or an attention, and what the cost model makes of it.
#include "codegen/Choices.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace {

using codegen::Choice;
using codegen::Problem;

constexpr int64_t bf16 = static_cast<int64_t>(kernels::DType::BF16), f32 = static_cast<int64_t>(kernels::DType::F32);

Problem product(int64_t rows, int64_t columns, int64_t depth, const char *meaning = "product_add") {
  return {meaning, {{"T", bf16}, {"O", bf16}, {"K", depth}, {"N", columns}, {"norm", 0}, {"n", rows}}};
}

/// Whole prompts in rows that start empty.
Problem chunk(int64_t tokens, int64_t heads, int64_t dim = 128) {
  return {"attention_chunk",
          {{"T", bf16},
           {"heads", heads},
           {"kv_heads", heads},
           {"D", dim},
           {"ring", 2048},
           {"window", 2048},
           {"n", tokens},
           {"rows", 1}}};
}

Problem with(Problem problem, const kernels::Values &values) {
  problem.values = problem.values.with(values);
  return problem;
}

Choice stream(int64_t rows) { return {"stream", {{"M", rows}}}; }

Choice mma(int64_t tileM, int64_t tileN) { return {"mma", {{"tile_m", tileM}, {"tile_n", tileN}}}; }

std::string refusal(const Problem &problem, const Choice &choice, const char *target = "sm_90a") {
  std::string why;
  EXPECT_FALSE(codegen::instanceOf(problem, choice, target, why));
  return why;
}

double predicted(const Problem &problem, const Choice &choice, const char *target = "sm_90a") {
  std::string why;
  auto instance = codegen::instanceOf(problem, choice, target, why);
  EXPECT_TRUE(instance) << choice.text() << ": " << why;
  return instance ? codegen::predict(*kernels::findTarget(target), *instance).us() : 1e30;
}

TEST(Choices, EveryChoiceFits) {
  for (const char *target : {"sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_103a", "sm_120a"})
    for (int64_t rows : {1, 8, 9, 64, 2048}) {
      std::string why;
      const std::vector<Choice> choices = codegen::choicesFor(product(rows, 768, 3072), target);
      EXPECT_FALSE(choices.empty());
      for (const Choice &choice : choices)
        EXPECT_TRUE(codegen::instanceOf(product(rows, 768, 3072), choice, target, why)) << choice.text() << ": " << why;
    }
}

TEST(Choices, WarpgroupProducts) {
  for (int64_t rows : {1, 32, 128, 2048}) {
    int offered = 0;
    for (const Choice &choice : codegen::choicesFor(product(rows, 2048, 2048), "sm_90a"))
      offered += choice.engine == "wgmma";
    EXPECT_GT(offered, 0) << rows;
    EXPECT_LE(offered, 24) << rows; // a tuner compiles and measures them all
    for (const Choice &choice : codegen::choicesFor(product(rows, 2048, 2048), "sm_100a"))
      EXPECT_NE(choice.engine, "wgmma"); // wgmma exists on sm_90a alone
  }
  // Not for f32, nor where a row is no multiple of 16 bytes.
  for (const Problem &p : {with(product(64, 256, 256), {{"T", f32}, {"O", f32}}), product(64, 256, 100)})
    for (const Choice &choice : codegen::choicesFor(p, "sm_90a"))
      EXPECT_NE(choice.engine, "wgmma") << choice.text();
}

Choice wgmma(int64_t tileM, int64_t tileN, int64_t stages, int64_t split, int64_t share, int64_t blocks = 132) {
  return {"wgmma",
          {{"tile_m", tileM},
           {"tile_n", tileN},
           {"stages", stages},
           {"split", split},
           {"share", share},
           {"blocks", blocks}}};
}

TEST(Choices, WarpgroupProductsFillTheDevice) {
  auto first = [](const Problem &p) { return codegen::choicesFor(p, "sm_90a").front(); }; // best by prediction
  auto blocksOf = [](const Problem &p, const Choice &choice) {
    std::string why;
    return codegen::instanceOf(p, choice, "sm_90a", why)->shape().blocks;
  };
  // 96 tiles of 256 x 128 would leave a quarter of the SMs idle, 128 of 128 x 192 do not.
  const Problem wide = product(512, 6144, 2048, "product");
  EXPECT_EQ(first(wide).params["tile_n"], 192) << first(wide).text();
  for (const Problem &p : {wide, product(512, 2048, 8192), product(512, 768, 3072), product(128, 2048, 8192),
                           product(2048, 768, 3072), product(32, 768, 3072)})
    EXPECT_GE(blocksOf(p, first(p)), 96u) << first(p).text();
  EXPECT_GT(first(product(512, 2048, 8192)).params["split"], 1);
  // A long prompt has tiles enough: large ones, whole.
  const Choice prompt = first(product(8192, 8192, 8192));
  EXPECT_GE(prompt.params["tile_m"] * prompt.params["tile_n"], 192 * 128) << prompt.text();
  EXPECT_EQ(prompt.params["split"], 1);
  // 200 tiles of two rounds take no more blocks than a hundred.
  EXPECT_EQ(blocksOf(product(256, 25600, 2048), wgmma(256, 128, 4, 1, 1)), 100u);
}

// Microseconds that nanort tune has measured on an H100 80GB HBM3. Of each product the model's choice among them takes
// at most 8 % longer than the best, and no prediction is far off.
TEST(Choices, PredictionsMeetMeasurements) {
  struct Measured {
    Choice choice;
    double us;
  };
  struct {
    Problem product;
    std::vector<Measured> measured;
  } const table[] = {
      {product(1, 2048, 2048), {{stream(1), 4.04}, {wgmma(8, 64, 11, 4, 1), 4.18}, {wgmma(8, 64, 12, 2, 1), 4.90}}},
      {product(8, 1280, 5120), {{stream(8), 8.64}, {wgmma(8, 64, 11, 6, 1), 7.13}, {wgmma(8, 64, 12, 2, 1), 10.77}}},
      {product(32, 2048, 8192),
       {{wgmma(32, 64, 8, 8, 1, 128), 13.47}, {wgmma(32, 64, 8, 2, 1), 17.49}, {wgmma(32, 128, 4, 8, 1, 128), 14.47}}},
      {product(128, 768, 3072),
       {{wgmma(128, 64, 3, 8, 1, 128), 6.89}, {wgmma(128, 64, 3, 4, 1), 7.53}, {wgmma(128, 64, 3, 2, 1), 11.59}}},
      {product(512, 768, 768),
       {{wgmma(128, 128, 6, 1, 1), 7.09}, {wgmma(192, 128, 5, 1, 1), 9.45}, {wgmma(256, 128, 4, 1, 1), 11.68}}},
      {product(512, 2048, 8192),
       {{wgmma(128, 128, 6, 1, 2), 49.44}, {wgmma(192, 128, 5, 1, 2), 61.04}, {wgmma(256, 128, 4, 1, 1), 80.5}}},
      {product(2048, 1280, 1280),
       {{wgmma(128, 128, 6, 1, 2), 19.26}, {wgmma(192, 128, 5, 1, 1), 13.62}, {wgmma(256, 128, 4, 1, 1), 16.44}}},
      {product(2048, 2048, 8192),
       {{wgmma(128, 128, 6, 1, 2), 108.68}, {wgmma(192, 128, 5, 1, 2), 132.99}, {wgmma(256, 128, 4, 1, 1), 90.48}}},
      {product(16384, 768, 3072),
       {{wgmma(128, 128, 6, 1, 2), 134.12}, {wgmma(192, 128, 5, 1, 2), 117.13}, {wgmma(256, 128, 4, 1, 1), 116.02}}},
  };
  for (const auto &row : table) {
    double best = 1e30, chosen = 0, least = 1e30;
    for (const Measured &m : row.measured) {
      const double us = predicted(row.product, m.choice);
      EXPECT_NEAR(us / m.us, 1, 0.3) << m.choice.text() << " for " << row.product.text();
      best = std::min(best, m.us);
      if (us < least) {
        least = us;
        chosen = m.us;
      }
    }
    EXPECT_LE(chosen, best * 1.08) << row.product.text();
  }
}

TEST(Choices, AttentionOfAPrompt) {
  const Problem prompt = chunk(512, 6), step = chunk(8, 6), batch = with(prompt, {{"rows", 512}}),
                narrow = chunk(512, 6, 40), odd = chunk(512, 6, 80), plainType = with(prompt, {{"T", f32}});
  auto engines = [](const Problem &attention, const char *target) {
    std::set<std::string> result;
    for (const Choice &choice : codegen::choicesFor(attention, target))
      result.insert(choice.engine);
    return result;
  };
  const std::set<std::string> plain{"simt"}, tiles{"simt", "mma"};
  EXPECT_EQ(engines(prompt, "sm_90a"), (std::set<std::string>{"simt", "wgmma"}));
  EXPECT_EQ(engines(odd, "sm_90a"), tiles); // no rows of whole 64 bytes, which the copies of wgmma need
  for (const Problem &other : {step, narrow, plainType})
    EXPECT_EQ(engines(other, "sm_90a"), plain) << other.text();
  for (const char *target : {"sm_80", "sm_86", "sm_89", "sm_100a", "sm_103a", "sm_120a"}) {
    EXPECT_EQ(engines(prompt, target), tiles) << target;
    EXPECT_EQ(engines(odd, target), tiles) << target;
    for (const Problem &other : {step, batch, narrow, plainType})
      EXPECT_EQ(engines(other, target), plain) << target << " " << other.text();
  }
  // By --template it runs there, too.
  std::string why;
  EXPECT_TRUE(codegen::instanceOf(prompt, {"mma", {{"tile_q", 64}, {"tile_k", 64}, {"stages", 1}}}, "sm_90a", why))
      << why;
}

TEST(Choices, TensorCoresServePromptsOnEveryTarget) {
  auto best = [](const Problem &attention, const char *target) {
    const kernels::Target device = *kernels::findTarget(target);
    const int64_t tokens = attention.values["n"], heads = attention.values["heads"];
    std::pair<double, Choice> least{1e30, {}};
    for (const Choice &choice : codegen::choicesFor(attention, target)) {
      std::string why;
      const auto instance = codegen::instanceOf(attention, choice, target, why);
      EXPECT_TRUE(instance) << choice.text() << ": " << why;
      if (!instance)
        continue;
      const kernels::LaunchShape shape = instance->shape();
      EXPECT_LE(shape.sharedBytes, device.blockShared) << choice.text() << " for " << target;
      const double us = codegen::predict(device, *instance).us();
      if (choice.engine == "mma") {
        EXPECT_EQ(shape.blocks, (tokens + instance->params["tile_q"] - 1) / instance->params["tile_q"] * heads);
        // Not faster than the products of what each query sees.
        double flops = 0;
        for (int64_t token = 0; token < tokens; ++token)
          flops += 4.0 * static_cast<double>(heads * attention.values["D"] *
                                             (std::min(token, attention.values["window"]) + 1));
        EXPECT_GE(us, flops / (device.bf16FlopsPerUs * device.warpMmaShare)) << choice.text() << " for " << target;
      }
      if (us < least.first)
        least = {us, choice};
    }
    return least.second;
  };
  for (const char *target : {"sm_80", "sm_86", "sm_89", "sm_100a", "sm_103a", "sm_120a"}) {
    for (int64_t tokens : {64, 512, 2048, 8192})
      EXPECT_EQ(best(chunk(tokens, 6), target).engine, "mma") << target << " " << tokens;
    // Of a short prompt every SM gets its tiles, of a long one keys and values are copied half as often.
    EXPECT_EQ(best(chunk(256, 6), target).params["tile_q"], 64) << target;
  }
  EXPECT_EQ(best(chunk(8192, 16), "sm_80").text(), "mma tile_q=128 tile_k=64 stages=2");
  // Two blocks of 64 queries fit an SM.
  EXPECT_EQ(best(chunk(256, 6), "sm_80").text(), "mma tile_q=64 tile_k=64 stages=2");
  EXPECT_EQ(best(chunk(256, 6), "sm_86").text(), "mma tile_q=64 tile_k=64 stages=1");
}

TEST(Choices, LongPromptsTakeLargeTilesOfQueriesAndShortOnesSmall) {
  auto best = [](int64_t tokens, int64_t heads) {
    std::pair<double, int64_t> least{1e30, 0};
    for (const Choice &choice : codegen::choicesFor(chunk(tokens, heads), "sm_90a"))
      if (choice.engine == "wgmma")
        least = std::min(least, {predicted(chunk(tokens, heads), choice), choice.params["tile_q"]});
    return least.second;
  };
  EXPECT_GE(best(8192, 16), 128); // enough blocks: what is copied decides
  EXPECT_EQ(best(256, 6), 64);    // SMs would be idle
}

TEST(Choices, FewerBlocksThanFitTakeLonger) {
  auto us = [](int64_t tokens, int64_t blocks, int64_t dim = 128) {
    return predicted(chunk(tokens, 16, dim),
                     {"wgmma", {{"tile_q", 64}, {"tile_k", 64}, {"stages", 2}, {"blocks", blocks}}});
  };
  EXPECT_GT(us(2048, 132), us(2048, 264) * 1.5); // two fit an SM
  EXPECT_EQ(us(512, 132), us(512, 264));         // 128 items are all there is
  EXPECT_LT(us(2048, 264, 32), us(2048, 264));   // registers let in no more, however small the tiles are
}

TEST(Choices, AttentionOfOneTokenARow) {
  auto best = [](const Problem &attention, const char *target) {
    std::pair<double, std::string> least{1e30, ""};
    for (const Choice &choice : codegen::choicesFor(attention, target))
      least = std::min(least, {predicted(attention, choice, target), choice.text()});
    return least.second;
  };
  auto layer = [](int64_t rows, int64_t heads, int64_t ring = 640) {
    return Problem{"attention_step",
                   {{"T", bf16},
                    {"P", bf16},
                    {"heads", heads},
                    {"kv_heads", heads},
                    {"D", 128},
                    {"ring", ring},
                    {"window", ring},
                    {"n", rows}}};
  };
  // As an H100 has shown: few heads of few rows take many blocks each, the more there are the fewer.
  for (auto [rows, heads, cluster] :
       {std::tuple{1, 6, 8}, {4, 6, 8}, {8, 6, 8}, {8, 10, 4}, {8, 16, 2}, {32, 6, 2}, {128, 6, 2}})
    EXPECT_EQ(best(layer(rows, heads), "sm_90a"), "cluster cluster=" + std::to_string(cluster))
        << rows << " rows of " << heads << " heads";
  // More keys than the clusters of so few heads read quickly.
  EXPECT_TRUE(best(layer(1, 6, 16384), "sm_90a").starts_with("spread"));
  EXPECT_TRUE(best(layer(8, 6, 4096), "sm_80").starts_with("spread"));
  // Without clusters a head is one block's, or many warps'.
  for (const Choice &choice : codegen::choicesFor(layer(8, 6), "sm_80"))
    EXPECT_TRUE(choice.engine == "spread" || choice.text() == "cluster cluster=1") << choice.text();
  // What the engine `spread` does not serve.
  for (const Problem &attention :
       {with(layer(1, 6, 16384), {{"T", f32}, {"D", 64}}), with(layer(1, 6, 16384), {{"D", 80}})})
    EXPECT_TRUE(best(attention, "sm_90a").starts_with("cluster cluster="));
  Problem gated = with(layer(1, 6, 16384), {{"C", 2048}, {"channels", 32}});
  gated.meaning = "attention_step_gate";
  EXPECT_TRUE(best(gated, "sm_90a").starts_with("spread"));
}

TEST(Choices, AnInstanceIsTheKernelsOwnParameters) {
  std::string why;
  auto instance = codegen::instanceOf(product(100, 768, 3072), mma(64, 128), "sm_90a", why);
  ASSERT_TRUE(instance) << why;
  EXPECT_EQ(instance->kernel->text(), "product_add by mma");
  EXPECT_EQ(instance->params["K"], 3072);
  EXPECT_EQ(instance->params["tile_n"], 128);
  EXPECT_FALSE(instance->params.find("n"));
  EXPECT_EQ(instance->launch["n"], 100);
  EXPECT_EQ(mma(64, 128).text(), "mma tile_m=64 tile_n=128");
  EXPECT_EQ(product(100, 768, 3072).text(), "product_add T=bf16 O=bf16 K=3072 N=768 norm=0 n=100");
}

TEST(Choices, TheCpuHasTheReferenceAlone) {
  const std::vector<Choice> choices = codegen::choicesFor(product(64, 768, 768), "cpu");
  ASSERT_EQ(choices.size(), 1u);
  EXPECT_EQ(choices[0].text(), "");
  std::string why;
  const auto instance = codegen::instanceOf(product(64, 768, 768), choices[0], "cpu", why);
  ASSERT_TRUE(instance) << why;
  EXPECT_EQ(instance->kernel->text(), "product_add");
  EXPECT_EQ(instance->kernel->instanceName(instance->params), "product_add_reference_bf16_bf16_768_768_0");
}

TEST(Choices, TheLibraryHasNothingFused) {
  EXPECT_TRUE(codegen::servedByLibrary(product(64, 768, 768, "product")));
  EXPECT_FALSE(codegen::servedByLibrary(product(64, 768, 768)));
  EXPECT_FALSE(codegen::servedByLibrary(with(product(64, 768, 768, "product"), {{"norm", 1}})));
  EXPECT_FALSE(codegen::servedByLibrary(chunk(64, 6)));
}

TEST(Choices, WhatDoesNotFitSaysWhy) {
  EXPECT_EQ(refusal(product(64, 768, 768), {"magic", {}}), "there is no engine 'magic' for product_add");
  EXPECT_EQ(refusal(product(64, 768, 768), {"mma", {{"tile_m", 64}}}), "engine 'mma' needs tile_n");
  EXPECT_EQ(refusal(product(64, 768, 768), {"mma", {{"tile_m", 64}, {"tile_n", 64}, {"stages", 3}}}),
            "engine 'mma' is spread by tile_m, tile_n, once each");
  EXPECT_EQ(refusal(product(64, 768, 768), mma(64, 48)), "engine 'mma': tile_n is 48; 32, 64 and 128 work");
  EXPECT_EQ(refusal(product(9, 768, 768), stream(9)), "engine 'stream': M is 9; the nearest that works is 8");
  EXPECT_EQ(refusal(product(512, 768, 768), wgmma(256, 192, 2, 1, 1)),
            "engine 'wgmma': tile_n is 192; with tile_m 256 the nearest that works is 128");
  EXPECT_EQ(refusal(product(512, 768, 768), wgmma(256, 64, 2, 1, 1)),
            "engine 'wgmma': tile_n is 64; with tile_m 256 the nearest that works is 128");
  EXPECT_EQ(refusal(product(512, 768, 768), wgmma(128, 160, 2, 1, 1)),
            "engine 'wgmma': tile_n is 160; the nearest that works is 128");
  EXPECT_EQ(refusal(product(512, 768, 768), wgmma(128, 128, 0, 1, 1)),
            "engine 'wgmma': stages is 0; the nearest that works is 1");
  EXPECT_EQ(refusal(product(512, 768, 768), wgmma(128, 128, 4, 1, 1), "sm_80"),
            "engine 'wgmma' needs wgmma and TMA, which sm_80 lacks");
}

TEST(Choices, ThePredictionSeesBytesFlopsAndIdleSms) {
  const kernels::Target device = *kernels::findTarget("sm_90a");
  // A few tiles leave most SMs idle.
  EXPECT_LT(predicted(product(64, 768, 768), mma(32, 32)), predicted(product(64, 768, 768), mma(128, 128)));
  // Many small tiles read their operands too often.
  EXPECT_LT(predicted(product(4096, 4096, 4096), mma(128, 128)), predicted(product(4096, 4096, 4096), mma(32, 32)));
  for (int64_t rows : {16, 256, 4096}) {
    const Problem p = product(rows, 2048, 2048);
    const double weights = 2.0 * 2048 * 2048 / device.bytesPerUs,
                 flops = 2.0 * 2048 * 2048 * rows / device.bf16FlopsPerUs;
    EXPECT_GE(predicted(p, mma(128, 64)), std::max(weights, flops));
    // Slower hardware is not predicted to be faster.
    EXPECT_LE(predicted(p, mma(128, 64)), predicted(p, mma(128, 64), "sm_86"));
  }
}

} // namespace
