// The catalogue, and what a kernel's description makes of a launch.
#include "kernels_templates/base/catalogue.h"

#include <gtest/gtest.h>

#include <set>

namespace {

using namespace kernels;

constexpr int64_t bf16 = static_cast<int64_t>(DType::BF16);

TEST(Catalogue, NamesOfOneKindAreDistinct) {
  std::set<std::string> meanings, found;
  for (const Meaning &meaning : catalogue().allMeanings())
    EXPECT_TRUE(meanings.insert(meaning.name).second) << meaning.name;
  for (const Kernel &kernel : catalogue().allKernels()) {
    EXPECT_TRUE(found.insert(kernel.text()).second) << kernel.text();
    EXPECT_EQ(catalogue().kernel(kernel.meaning.name, kernel.engine ? kernel.engine->name : ""), &kernel);
    std::set<std::string_view> names;
    for (const Param &param : kernel.params)
      EXPECT_TRUE(names.insert(param.name).second) << kernel.text() << ": parameter " << param.name;
    for (const Arg &arg : kernel.args) // a launch's integers are looked for among the parameters, too
      EXPECT_TRUE(names.insert(arg.name).second) << kernel.text() << ": argument " << arg.name;
  }
  for (const std::string &meaning : meanings)
    EXPECT_FALSE(catalogue().kernels(meaning).empty()) << meaning;
}

TEST(Catalogue, WhatItLacksIsNull) {
  EXPECT_EQ(catalogue().meaning("warp_drive"), nullptr);
  EXPECT_EQ(catalogue().kernel("rms_norm", "wgmma"), nullptr);
  EXPECT_EQ(catalogue().kernel("warp_drive", ""), nullptr);
  EXPECT_TRUE(catalogue().kernels("warp_drive").empty());
}

TEST(Catalogue, EveryBufferHasATypeAndAnExtent) {
  for (const Kernel &kernel : catalogue().allKernels()) {
    Values launch;
    for (const Param &param : kernel.params)
      launch.set(param.name, 1); // of a type bf16
    for (const Arg &arg : kernel.args)
      if (arg.access == Access::I32)
        launch.set(arg.name, 1);
    for (const Arg &arg : kernel.args)
      if (!isScalar(arg.access)) {
        EXPECT_GT(bytesOf(elementType(arg, launch), kernel.elements(arg, launch, {1, 1, 1, 1})), 0u)
            << kernel.text() << ": " << arg.name;
      }
  }
}

TEST(Values, AreFoundByNameAndKeepTheirOrder) {
  Values values{{"K", 8}, {"N", -3}};
  values.set("T", bf16);
  values.set("K", 16);
  EXPECT_EQ(values["K"], 16);
  EXPECT_EQ(values.type("T"), DType::BF16);
  EXPECT_EQ(values.count("N"), 0u);
  EXPECT_EQ(values.find("M"), std::nullopt);
  EXPECT_EQ(values, (Values{{"K", 16}, {"N", -3}, {"T", bf16}}));
  EXPECT_NE(values, (Values{{"N", -3}, {"K", 16}, {"T", bf16}}));
  EXPECT_EQ(values.with({{"N", 4}, {"M", 1}}), (Values{{"K", 16}, {"N", 4}, {"T", bf16}, {"M", 1}}));
  EXPECT_DEATH(values["M"], "'M' does not exist");
}

/// Elements of a buffer of this shape, with n = 3, heads = 4, kv_heads = 2, D = 8, layer = 5.
uint64_t elementsOf(std::string_view shape, const Values &more = {}, const Limits &limits = {16, 2, 100, 64}) {
  const Meaning meaning{.name = "test",
                        .params = {},
                        .args = {input("x", "f32", shape)},
                        .constraint = nullptr,
                        .cost = nullptr,
                        .tolerance = nullptr};
  const Kernel kernel(meaning, nullptr);
  const Values launch{{"n", 3}, {"heads", 4}, {"kv_heads", 2}, {"D", 8}, {"layer", 5}};
  return kernel.elements(kernel.args[0], launch.with(more), limits);
}

TEST(KernelElements, AreProductsOfSums) {
  EXPECT_EQ(elementsOf("1"), 1u);
  EXPECT_EQ(elementsOf("n"), 3u);
  EXPECT_EQ(elementsOf("n D"), 24u);
  EXPECT_EQ(elementsOf("layer+1"), 6u);
  EXPECT_EQ(elementsOf("n heads+2*kv_heads D"), 3u * 8 * 8);
  EXPECT_EQ(elementsOf("2*n+D+1"), 15u);
  EXPECT_EQ(elementsOf("n", {{"n", 0}}), 0u);
  EXPECT_EQ(elementsOf("n D", {{"n", -1}}), 0u); // a plan's scalar before it is refused
}

TEST(KernelElements, KnowTheLimits) {
  EXPECT_EQ(elementsOf("tokens"), 16u);
  EXPECT_EQ(elementsOf("rows 2 kv_heads D"), 2u * 2 * 2 * 8);
  EXPECT_EQ(elementsOf("vocab D"), 800u);
  EXPECT_EQ(elementsOf("positions D"), 512u);
  EXPECT_EQ(elementsOf("rows", {{"rows", 7}}), 7u); // a launch's own number comes first
  EXPECT_DEATH(elementsOf("n width"), "'width' does not exist");
}

// A wrapped product would let a plan's launch leave its buffer.
TEST(KernelElements, Saturate) {
  const Values huge{{"n", INT64_MAX}};
  EXPECT_EQ(elementsOf("n n", huge), UINT64_MAX);
  EXPECT_EQ(elementsOf("n n 0", huge), 0u);
  EXPECT_EQ(elementsOf("n+n+n", huge), UINT64_MAX);
  EXPECT_EQ(elementsOf("4*n", huge), UINT64_MAX);
  EXPECT_EQ(elementsOf("4*n D", huge), UINT64_MAX);
  EXPECT_EQ(elementsOf("tokens rows", {}, {UINT64_MAX, 2, 1, 1}), UINT64_MAX);
}

TEST(KernelElements, MayBeNoProduct) {
  // The last row's target may lie past a narrower row.
  const Kernel &nll = *catalogue().kernel("nll", "simt");
  const Arg &logits = nll.args[nll.indexOf("logits")];
  EXPECT_EQ(nll.elements(logits, {{"V", 50}, {"n", 3}}, {3, 1, 64, 1}), 2u * 50 + 64);
  EXPECT_EQ(nll.elements(logits, {{"V", 50}, {"n", 0}}, {3, 1, 64, 1}), 0u);
}

TEST(Kernel, ALaunchHasItsParametersAndIntegers) {
  const Kernel &chunk = *catalogue().kernel("attention_chunk", "simt"); // window, scale, n
  const Values params{{"T", bf16}, {"heads", 4}, {"kv_heads", 2}, {"D", 64}, {"ring", 129}};
  const Values launch = chunk.launch(params, {{.i = 128}, {.f = 0.5f}, {.i = 7}});
  EXPECT_EQ(launch, params.with({{"window", 128}, {"n", 7}}));
  EXPECT_EQ(chunk.shape(launch).blocks, 7u * 4);
}

TEST(Kernel, ArgumentsAreTheMeaningsBeforeTheEnginesAndScalarsLast) {
  const Kernel &sample = *catalogue().kernel("sample", "simt"), &reference = *catalogue().kernel("sample", "");
  auto names = [](const Kernel &kernel) {
    std::vector<std::string_view> result;
    for (const Arg &arg : kernel.args)
      result.push_back(arg.name);
    return result;
  };
  EXPECT_EQ(names(reference), (std::vector<std::string_view>{"z", "index", "steps", "sampling", "next", "cap", "r"}));
  EXPECT_EQ(names(sample), (std::vector<std::string_view>{"z", "index", "steps", "sampling", "next", "counters",
                                                          "partials", "cap", "r"}));
}

} // namespace
