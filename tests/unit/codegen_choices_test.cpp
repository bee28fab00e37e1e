// What can serve a product or an attention, and what the cost model makes of it.
#include "codegen/Choices.h"

#include <gtest/gtest.h>

#include <algorithm>
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
  return codegen::predictUs(*kernels::findTarget(target), *instance);
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
    EXPECT_LE(offered, 24) << rows; // a tuner compiles and measures them all
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

Choice wgemm(int64_t tileM, int64_t tileN, int64_t stages, int64_t split, int64_t share, int64_t blocks = 132) {
  return {"wgemm",
          {{"tile_m", tileM},
           {"tile_n", tileN},
           {"stages", stages},
           {"split", split},
           {"share", share},
           {"blocks", blocks}}};
}

int64_t valueOf(const Choice &choice, std::string_view name) {
  for (const auto &[key, value] : choice.tuning)
    if (key == name)
      return value;
  return 0;
}

TEST(Choices, WarpgroupProductsFillTheDevice) {
  auto first = [](const Product &p) { return codegen::choicesFor(p, "sm_90a").front(); }; // best by prediction
  auto blocksOf = [](const Product &p, const Choice &choice) {
    std::string why;
    const auto instance = *codegen::instanceOf(problemOf(p), choice, "sm_90a", why);
    return instance.family->shape(instance.params, instance.scalars).grid[0];
  };
  // 96 tiles of 256 x 128 would leave a quarter of the SMs idle, 128 of 128 x 192 do not.
  const Product wide{"", bf16, bf16, 512, 6144, 2048};
  EXPECT_EQ(valueOf(first(wide), "tile_n"), 192) << first(wide).text();
  for (const Product &p : {wide, product(512, 2048, 8192), product(512, 768, 3072), product(128, 2048, 8192),
                           product(2048, 768, 3072), product(32, 768, 3072)})
    EXPECT_GE(blocksOf(p, first(p)), 96u) << first(p).text();
  EXPECT_GT(valueOf(first(product(512, 2048, 8192)), "split"), 1);
  // A long prompt has tiles enough: large ones, whole.
  const Choice prompt = first(product(8192, 8192, 8192));
  EXPECT_GE(valueOf(prompt, "tile_m") * valueOf(prompt, "tile_n"), 192 * 128) << prompt.text();
  EXPECT_EQ(valueOf(prompt, "split"), 1);
  // 200 tiles of two rounds take no more blocks than a hundred.
  EXPECT_EQ(blocksOf(product(256, 25600, 2048), wgemm(256, 128, 4, 1, 1)), 100u);
}

// Microseconds that nanort tune has measured on an H100 80GB HBM3. Of each product the model's choice among them takes
// at most 8 % longer than the best, and no prediction is far off.
TEST(Choices, PredictionsMeetMeasurements) {
  struct Measured {
    Choice choice;
    double us;
  };
  struct {
    Product product;
    std::vector<Measured> measured;
  } const table[] = {
      {product(1, 2048, 2048), {{{"gemv", {}}, 4.04}, {wgemm(8, 64, 11, 4, 1), 4.18}, {wgemm(8, 64, 12, 2, 1), 4.90}}},
      {product(8, 1280, 5120), {{{"gemv", {}}, 8.64}, {wgemm(8, 64, 11, 6, 1), 7.13}, {wgemm(8, 64, 12, 2, 1), 10.77}}},
      {product(32, 2048, 8192),
       {{wgemm(32, 64, 8, 8, 1, 128), 13.47}, {wgemm(32, 64, 8, 2, 1), 17.49}, {wgemm(32, 128, 4, 8, 1, 128), 14.47}}},
      {product(128, 768, 3072),
       {{wgemm(128, 64, 3, 8, 1, 128), 6.89}, {wgemm(128, 64, 3, 4, 1), 7.53}, {wgemm(128, 64, 3, 2, 1), 11.59}}},
      {product(512, 768, 768),
       {{wgemm(128, 128, 6, 1, 1), 7.09}, {wgemm(192, 128, 5, 1, 1), 9.45}, {wgemm(256, 128, 4, 1, 1), 11.68}}},
      {product(512, 2048, 8192),
       {{wgemm(128, 128, 6, 1, 2), 49.44}, {wgemm(192, 128, 5, 1, 2), 61.04}, {wgemm(256, 128, 4, 1, 1), 80.5}}},
      {product(2048, 1280, 1280),
       {{wgemm(128, 128, 6, 1, 2), 19.26}, {wgemm(192, 128, 5, 1, 1), 13.62}, {wgemm(256, 128, 4, 1, 1), 16.44}}},
      {product(2048, 2048, 8192),
       {{wgemm(128, 128, 6, 1, 2), 108.68}, {wgemm(192, 128, 5, 1, 2), 132.99}, {wgemm(256, 128, 4, 1, 1), 90.48}}},
      {product(16384, 768, 3072),
       {{wgemm(128, 128, 6, 1, 2), 134.12}, {wgemm(192, 128, 5, 1, 2), 117.13}, {wgemm(256, 128, 4, 1, 1), 116.02}}},
  };
  for (const auto &row : table) {
    double best = 1e30, chosen = 0, least = 1e30;
    for (const Measured &m : row.measured) {
      const double us = predicted(row.product, m.choice);
      EXPECT_NEAR(us / m.us, 1, 0.3) << m.choice.text() << " for " << row.product.rows << " rows";
      best = std::min(best, m.us);
      if (us < least) {
        least = us;
        chosen = m.us;
      }
    }
    EXPECT_LE(chosen, best * 1.08) << row.product.rows << " x " << row.product.columns << " x " << row.product.depth;
  }
}

TEST(Choices, AttentionOfAPrompt) {
  const codegen::Attention prompt{bf16, 512, 6, 6, 128, 2048, 2048};
  auto stems = [](const codegen::Attention &attention, const char *target) {
    std::set<std::string> result;
    for (const Choice &choice : codegen::choicesFor(attention, target))
      result.insert(choice.stem);
    return result;
  };
  const std::set<std::string> plain{"attention"}, tiles{"attention", "attention_mma"};
  codegen::Attention step = prompt, batch = prompt, narrow = prompt, odd = prompt, f32 = prompt;
  step.tokens = 8;
  batch.rows = batch.tokens;
  narrow.dim = 40;
  odd.dim = 80;
  f32.in = kernels::DType::F32;
  EXPECT_EQ(stems(prompt, "sm_90a"), (std::set<std::string>{"attention", "attention_prefill"}));
  EXPECT_EQ(stems(odd, "sm_90a"), tiles); // no rows of whole 64 bytes, which attention_prefill's copies need
  for (const codegen::Attention &other : {step, narrow, f32})
    EXPECT_EQ(stems(other, "sm_90a"), plain) << other.dim;
  for (const char *target : {"sm_80", "sm_86", "sm_89", "sm_100a", "sm_103a", "sm_120a"}) {
    EXPECT_EQ(stems(prompt, target), tiles) << target;
    EXPECT_EQ(stems(odd, target), tiles) << target;
    for (const codegen::Attention &other : {step, batch, narrow, f32})
      EXPECT_EQ(stems(other, target), plain) << target << " " << other.dim;
  }
  // By --template it runs there, too.
  std::string why;
  EXPECT_TRUE(codegen::instanceOf(codegen::problemOf(prompt),
                                  {"attention_mma", {{"tile_q", 64}, {"tile_k", 64}, {"stages", 1}}}, "sm_90a", why))
      << why;
}

TEST(Choices, TensorCoresServePromptsOnEveryTarget) {
  auto best = [](const codegen::Attention &attention, const char *target) {
    const kernels::Target device = *kernels::findTarget(target);
    std::pair<double, Choice> least{1e30, {}};
    for (const Choice &choice : codegen::choicesFor(attention, target)) {
      std::string why;
      const auto instance = codegen::instanceOf(codegen::problemOf(attention), choice, target, why);
      EXPECT_TRUE(instance) << choice.text() << ": " << why;
      if (!instance)
        continue;
      const kernels::LaunchShape shape = instance->family->shape(instance->params, instance->scalars);
      EXPECT_LE(shape.sharedBytes, device.blockShared) << choice.text() << " for " << target;
      const double us = codegen::predictUs(device, *instance);
      if (choice.stem == "attention_mma") {
        EXPECT_EQ(shape.grid[0],
                  (attention.tokens + instance->params["tile_q"] - 1) / instance->params["tile_q"] * attention.heads);
        // Not faster than the products of what each query sees.
        double flops = 0;
        for (int64_t token = 0; token < attention.tokens; ++token)
          flops += 4.0 * static_cast<double>(attention.heads * attention.dim * (std::min(token, attention.window) + 1));
        EXPECT_GE(us, flops / (device.bf16FlopsPerUs * device.warpMmaShare)) << choice.text() << " for " << target;
      }
      if (us < least.first)
        least = {us, choice};
    }
    return least.second;
  };
  for (const char *target : {"sm_80", "sm_86", "sm_89", "sm_100a", "sm_103a", "sm_120a"}) {
    for (int64_t tokens : {64, 512, 2048, 8192}) {
      const codegen::Attention prompt{bf16, tokens, 6, 6, 128, 2048, 2048};
      EXPECT_EQ(best(prompt, target).stem, "attention_mma") << target << " " << tokens;
    }
    // Of a short prompt every SM gets its tiles, of a long one keys and values are copied half as often.
    EXPECT_EQ(valueOf(best({bf16, 256, 6, 6, 128, 2048, 2048}, target), "tile_q"), 64) << target;
  }
  EXPECT_EQ(best({bf16, 8192, 16, 16, 128, 2048, 2048}, "sm_80").text(), "attention_mma tile_q=128 tile_k=64 stages=2");
  // Two blocks of 64 queries fit an SM.
  EXPECT_EQ(best({bf16, 256, 6, 6, 128, 2048, 2048}, "sm_80").text(), "attention_mma tile_q=64 tile_k=64 stages=2");
  EXPECT_EQ(best({bf16, 256, 6, 6, 128, 2048, 2048}, "sm_86").text(), "attention_mma tile_q=64 tile_k=64 stages=1");
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
            std::min(least, {codegen::predictUs(*kernels::findTarget("sm_90a"), instance), instance.params["tile_q"]});
    }
    return least.second;
  };
  EXPECT_GE(best(8192, 16), 128); // enough blocks: what is copied decides
  EXPECT_EQ(best(256, 6), 64);    // SMs would be idle
}

TEST(Choices, FewerBlocksThanFitTakeLonger) {
  auto us = [](int64_t tokens, int64_t blocks, int64_t dim = 128) {
    const codegen::Attention attention{bf16, tokens, 16, 16, dim, 2048, 2048};
    const Choice choice{"attention_prefill", {{"tile_q", 64}, {"tile_k", 64}, {"stages", 2}, {"blocks", blocks}}};
    std::string why;
    return codegen::predictUs(*kernels::findTarget("sm_90a"),
                              *codegen::instanceOf(codegen::problemOf(attention), choice, "sm_90a", why));
  };
  EXPECT_GT(us(2048, 132), us(2048, 264) * 1.5); // two fit an SM
  EXPECT_EQ(us(512, 132), us(512, 264));         // 128 items are all there is
  EXPECT_LT(us(2048, 264, 32), us(2048, 264));   // registers let in no more, however small the tiles are
}

TEST(Choices, AttentionOfOneTokenARow) {
  auto best = [](const codegen::DecodeAttention &attention, const char *target) {
    std::pair<double, std::string> least{1e30, ""};
    for (const Choice &choice : codegen::choicesFor(attention, target)) {
      std::string why;
      const auto instance = codegen::instanceOf(codegen::problemOf(attention), choice, target, why);
      EXPECT_TRUE(instance) << choice.text() << ": " << why;
      if (instance)
        least = std::min(least, {codegen::predictUs(*kernels::findTarget(target), *instance), choice.text()});
    }
    return least.second;
  };
  auto layer = [](int64_t rows, int64_t heads, int64_t ring = 640) {
    return codegen::DecodeAttention{bf16, bf16, rows, heads, heads, 128, ring, ring};
  };
  // As an H100 has shown: few heads of few rows take many blocks each, the more there are the fewer.
  for (auto [rows, heads, cluster] :
       {std::tuple{1, 6, 8}, {4, 6, 8}, {8, 6, 8}, {8, 10, 4}, {8, 16, 2}, {32, 6, 2}, {128, 6, 2}})
    EXPECT_EQ(best(layer(rows, heads), "sm_90a"), "attention_decode cluster=" + std::to_string(cluster))
        << rows << " rows of " << heads << " heads";
  // More keys than the clusters of so few heads read quickly.
  EXPECT_TRUE(best(layer(1, 6, 16384), "sm_90a").starts_with("attention_batch"));
  EXPECT_TRUE(best(layer(8, 6, 4096), "sm_80").starts_with("attention_batch"));
  // Without clusters a head is one block's, or many warps'.
  for (const Choice &choice : codegen::choicesFor(layer(8, 6), "sm_80"))
    EXPECT_TRUE(choice.stem == "attention_batch" || choice.text() == "attention_decode cluster=1") << choice.text();
  // What attention_batch does not serve.
  codegen::DecodeAttention f32 = layer(1, 6, 16384), odd = f32, gated = f32;
  f32.in = kernels::DType::F32;
  f32.dim = 64;
  odd.dim = 80;
  for (const codegen::DecodeAttention &attention : {f32, odd})
    EXPECT_TRUE(best(attention, "sm_90a").starts_with("attention_decode cluster="));
  gated.width = 2048;
  gated.channels = 32;
  EXPECT_TRUE(best(gated, "sm_90a").starts_with("attention_batch"));
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
  EXPECT_EQ(refusal(product(512, 768, 768), wgemm(256, 192, 2, 1, 1)),
            "family 'wgemm_add': tile_n is 192; with tile_m 256 the nearest that works is 128");
  EXPECT_EQ(refusal(product(512, 768, 768), wgemm(256, 64, 2, 1, 1)),
            "family 'wgemm_add': tile_n is 64; with tile_m 256 the nearest that works is 128");
  EXPECT_EQ(refusal(product(512, 768, 768), wgemm(128, 160, 2, 1, 1)),
            "family 'wgemm_add': tile_n is 160; the nearest that works is 128");
  EXPECT_EQ(refusal(product(512, 768, 768), wgemm(128, 128, 0, 1, 1)),
            "family 'wgemm_add': stages is 0; the nearest that works is 1");
}

TEST(Choices, ThePredictionSeesBytesFlopsAndIdleSms) {
  const kernels::Target device = *kernels::findTarget("sm_90a");
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
