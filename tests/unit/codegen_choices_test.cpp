// What can serve a product or an attention, and what the cost model makes of it.
#include "codegen/Choices.h"

#include <gtest/gtest.h>

#include <set>

namespace {

using codegen::Choice;
using codegen::Product;

constexpr kernels::DType bf16 = kernels::DType::BF16;

Product product(int64_t rows, int64_t columns, int64_t depth) { return {"_add", bf16, bf16, rows, columns, depth}; }

Choice gemm(int64_t tileM, int64_t tileN) { return {"gemm", {{"tile_m", tileM}, {"tile_n", tileN}}}; }

std::string refusal(const Product &product, const Choice &choice, const char *target = "sm_90a") {
  std::string why;
  EXPECT_FALSE(codegen::instanceOf(problemOf(product), choice, target, why));
  return why;
}

double predicted(const Product &product, const Choice &choice, const char *target = "sm_90a") {
  std::string why;
  auto instance = codegen::instanceOf(problemOf(product), choice, target, why);
  EXPECT_TRUE(instance) << why;
  return codegen::predictUs(*codegen::deviceModel(target), *instance);
}

TEST(Choices, EveryChoiceFits) {
  for (const char *target : {"sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_103a", "sm_120a"})
    for (int64_t rows : {1, 8, 9, 64, 2048}) {
      std::string why;
      const std::vector<Choice> choices = codegen::choicesFor(product(rows, 768, 3072), target);
      EXPECT_FALSE(choices.empty());
      for (const Choice &choice : choices)
        EXPECT_TRUE(codegen::instanceOf(problemOf(product(rows, 768, 3072)), choice, target, why))
            << choice.text() << ": " << why;
    }
}

TEST(Choices, WarpgroupProducts) {
  for (int64_t rows : {1, 32, 128, 2048}) {
    int offered = 0;
    for (const Choice &choice : codegen::choicesFor(product(rows, 2048, 2048), "sm_90a"))
      offered += choice.stem == "wgemm";
    EXPECT_GT(offered, 0) << rows;
    for (const Choice &choice : codegen::choicesFor(product(rows, 2048, 2048), "sm_100a"))
      EXPECT_NE(choice.stem, "wgemm"); // wgmma exists on sm_90a alone
  }
  // Not for f32, nor where a row is no multiple of 16 bytes.
  Product f32 = product(64, 256, 256);
  f32.in = f32.out = kernels::DType::F32;
  for (const Product &p : {f32, product(64, 256, 100)})
    for (const Choice &choice : codegen::choicesFor(p, "sm_90a"))
      EXPECT_NE(choice.stem, "wgemm") << choice.text();
}

TEST(Choices, AttentionOfAPrompt) {
  const codegen::Attention prompt{bf16, 512, 6, 6, 128, 2048, 2048};
  auto stems = [](const codegen::Attention &attention, const char *target) {
    std::set<std::string> result;
    for (const Choice &choice : codegen::choicesFor(attention, target))
      result.insert(choice.stem);
    return result;
  };
  EXPECT_EQ(stems(prompt, "sm_90a"), (std::set<std::string>{"attention", "attention_prefill"}));
  EXPECT_EQ(stems(prompt, "sm_80"), std::set<std::string>{"attention"});
  codegen::Attention step = prompt, narrow = prompt;
  step.tokens = 8;
  narrow.dim = 40;
  EXPECT_EQ(stems(step, "sm_90a"), std::set<std::string>{"attention"});
  EXPECT_EQ(stems(narrow, "sm_90a"), std::set<std::string>{"attention"});
}

TEST(Choices, LongPromptsTakeLargeTilesOfQueriesAndShortOnesSmall) {
  auto best = [](int64_t tokens, int64_t heads) {
    const codegen::Attention attention{bf16, tokens, heads, heads, 128, 2048, 2048};
    std::pair<double, int64_t> least{1e30, 0};
    for (const Choice &choice : codegen::choicesFor(attention, "sm_90a")) {
      std::string why;
      const auto instance = *codegen::instanceOf(codegen::problemOf(attention), choice, "sm_90a", why);
      if (choice.stem == "attention_prefill")
        least =
            std::min(least, {codegen::predictUs(*codegen::deviceModel("sm_90a"), instance), instance.params["tile_q"]});
    }
    return least.second;
  };
  EXPECT_GE(best(8192, 16), 128); // enough blocks: what is copied decides
  EXPECT_EQ(best(256, 6), 64);    // SMs would be idle
}

TEST(Choices, AnInstanceIsTheFamilysOwnParameters) {
  std::string why;
  auto instance = codegen::instanceOf(problemOf(product(100, 768, 3072)), gemm(64, 128), "sm_90a", why);
  ASSERT_TRUE(instance) << why;
  EXPECT_EQ(instance->family->name, "gemm_add");
  EXPECT_EQ(instance->params["K"], 3072);
  EXPECT_EQ(instance->params["tile_n"], 128);
  EXPECT_EQ(instance->scalars[0].i, 100);
  EXPECT_EQ(gemm(64, 128).text(), "gemm tile_m=64 tile_n=128");
}

TEST(Choices, WhatDoesNotFitSaysWhy) {
  EXPECT_EQ(refusal(product(64, 768, 768), {"magic", {}}), "there is no kernel family 'magic_add'");
  EXPECT_EQ(refusal(product(64, 768, 768), {"gemm", {{"tile_m", 64}}}), "family 'gemm_add' needs tile_n");
  EXPECT_EQ(refusal(product(64, 768, 768), {"gemm", {{"tile_m", 64}, {"tile_n", 64}, {"stages", 3}}}),
            "family 'gemm_add' is spread by tile_m, tile_n, once each");
  EXPECT_EQ(refusal(product(64, 768, 768), gemm(64, 48)), "family 'gemm_add': tile_n is 48; 32, 64 and 128 work");
  EXPECT_EQ(refusal(product(9, 768, 768), {"gemv", {}}), "family 'gemv_add': M is 9; the nearest that works is 8");
}

TEST(Choices, ThePredictionSeesBytesFlopsAndIdleSms) {
  const codegen::DeviceModel device = *codegen::deviceModel("sm_90a");
  // A few tiles leave most SMs idle.
  EXPECT_LT(predicted(product(64, 768, 768), gemm(32, 32)), predicted(product(64, 768, 768), gemm(128, 128)));
  // Many small tiles read their operands too often.
  EXPECT_LT(predicted(product(4096, 4096, 4096), gemm(128, 128)), predicted(product(4096, 4096, 4096), gemm(32, 32)));
  for (int64_t rows : {16, 256, 4096}) {
    const Product p = product(rows, 2048, 2048);
    const double weights = 2.0 * 2048 * 2048 / device.bytesPerUs,
                 flops = 2.0 * 2048 * 2048 * rows / device.bf16FlopsPerUs;
    EXPECT_GE(predicted(p, gemm(128, 64)), std::max(weights, flops));
    // Slower hardware is not predicted to be faster.
    EXPECT_LE(predicted(p, gemm(128, 64)), predicted(p, gemm(128, 64), "sm_86"));
  }
}

} // namespace
