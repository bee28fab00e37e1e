// What nanort tune finds to measure in a program, and how it launches that, on a driver that records.
#include "kernels_templates/base/catalogue.h"
#include "runtime/base/sha256.h"
#include "runtime/measure/attention_timer.h"
#include "runtime/measure/product_timer.h"
#include "runtime/measure/tune.h"
#include "tests/unit/base_errors.h"
#include "tests/unit/cuda_fake.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

using namespace nanort;
using codegen::Attention;
using codegen::DecodeAttention;
using flatbuffers::Offset;

namespace {

constexpr auto bf16 = kernels::DType::BF16;
constexpr int64_t T = static_cast<int64_t>(bf16);

/// A program of launches: what tuning does not look at is left out.
class Launches {
public:
  void add(const char *family, const std::vector<int64_t> &params, int32_t n, int32_t window = 0) {
    const kernels::Family &described = *codegen::findFamily(family);
    ASSERT_EQ(params.size(), described.params.size()) << family;
    std::vector<Offset<schema::Param>> values;
    for (size_t i = 0; i < params.size(); ++i)
      values.push_back(schema::CreateParamDirect(fbb, std::string(described.params[i].name).c_str(), params[i]));
    std::vector<Offset<schema::Arg>> args;
    for (const kernels::ArgDecl &arg : described.args)
      args.push_back(
          schema::CreateArg(fbb, arg.kind == kernels::ArgKind::I32 ? schema::ArgKind::I32 : schema::ArgKind::Buffer, 0,
                            arg.name == "window" ? window : n));
    const std::vector<Offset<schema::Edge>> edges;
    nodes.push_back(schema::CreateNodeDirect(fbb, schema::NodeKind::Launch, static_cast<uint32_t>(instances.size()),
                                             &args, nullptr, nullptr, 0, &edges));
    instances.push_back(schema::CreateKernelDirect(fbb, family, family, &values));
    KernelInstance &kernel = kernels.emplace_back(KernelInstance{&described, {}, true});
    for (size_t i = 0; i < params.size(); ++i)
      kernel.params.values.emplace_back(described.params[i].name, params[i]);
  }

  /// Once, behind all launches.
  const schema::Program &program() {
    const std::vector<Offset<schema::Binding>> none;
    const std::vector<Offset<schema::Buffer>> buffers;
    const std::vector<Offset<schema::Constant>> constants;
    const std::vector<Offset<schema::Ring>> rings;
    const std::vector<Offset<schema::Entry>> entries = {
        schema::CreateEntryDirect(fbb, "decode_1", schema::EntryKind::Decode, 1, 1, &none, &none, &nodes)};
    fbb.Finish(schema::CreateProgramDirect(fbb, "sm_90a", "bf16", 0, 1, &buffers, &constants, &rings, &instances,
                                           &entries, schema::CreateMemory(fbb)));
    return *flatbuffers::GetRoot<schema::Program>(fbb.GetBufferPointer());
  }

  std::vector<KernelInstance> kernels;

private:
  flatbuffers::FlatBufferBuilder fbb;
  std::vector<Offset<schema::Kernel>> instances;
  std::vector<Offset<schema::Node>> nodes;
};

TEST(ProblemsOf, AProgramAreItsDistinctOnes) {
  Launches launches;
  launches.add("gemv", {T, T, 32, 64, 1, 0, 0}, 1);
  launches.add("attention_decode", {T, 0, 4, 2, 64, 129, 4}, 8, 128);
  launches.add("attention_batch_ve", {T, T, 4, 2, 64, 129, 64, 132, 256, 12}, 8, 128);
  launches.add("attention_prefill", {T, 4, 2, 64, 129, 128, 128, 2, 132}, 512, 128);
  launches.add("attention", {T, 4, 2, 64, 129}, 16, 128);
  launches.add("gemm_add", {T, 32, 64, 32, 64}, 16);
  launches.add("kv_write", {T, 2, 64, 129}, 16);
  // What spreads a launch is no part of its problem.
  launches.add("attention_batch", {T, 0, 4, 2, 64, 129, 32, 132}, 8, 128);
  launches.add("attention", {T, 4, 2, 64, 129}, 512, 128);
  launches.add("gemv", {T, T, 32, 64, 1, 0, 0}, 1);
  // Another number of rows, another ring.
  launches.add("attention_decode", {T, 0, 4, 2, 64, 129, 4}, 1, 128);
  launches.add("attention_decode", {T, 0, 4, 2, 64, 513, 4}, 1, 512);
  const schema::Program &program = launches.program();
  const std::vector<codegen::Product> products = productsOf(program, launches.kernels);
  ASSERT_EQ(products.size(), 2u);
  EXPECT_EQ(codegen::problemOf(products[0]), codegen::problemOf(codegen::Product{"", bf16, bf16, 1, 64, 32}));
  EXPECT_EQ(codegen::problemOf(products[1]), codegen::problemOf(codegen::Product{"_add", bf16, bf16, 16, 64, 32}));
  const std::vector<AnyAttention> found = attentionsOf(program, launches.kernels);
  ASSERT_EQ(found.size(), 6u);

  auto expectStep = [&](size_t i, const DecodeAttention &expected) {
    ASSERT_TRUE(std::holds_alternative<DecodeAttention>(found[i])) << i;
    const auto &step = std::get<DecodeAttention>(found[i]);
    EXPECT_EQ(codegen::problemOf(step), codegen::problemOf(expected)) << i;
  };
  expectStep(0, {bf16, kernels::DType::F32, 8, 4, 2, 64, 129, 128});
  expectStep(1, {bf16, bf16, 8, 4, 2, 64, 129, 128, 256, 12});
  expectStep(4, {bf16, kernels::DType::F32, 1, 4, 2, 64, 129, 128});
  expectStep(5, {bf16, kernels::DType::F32, 1, 4, 2, 64, 513, 512});
  EXPECT_EQ(codegen::problemOf(std::get<Attention>(found[2])),
            codegen::problemOf(Attention{bf16, 512, 4, 2, 64, 129, 128}));
  EXPECT_EQ(codegen::problemOf(std::get<Attention>(found[3])),
            codegen::problemOf(Attention{bf16, 16, 4, 2, 64, 129, 128}));
}

TEST(ProblemsOf, WindowsOfOneKernelCountAsTheLargest) {
  Launches launches;
  for (int32_t window : {511, 512, 100}) {
    launches.add("attention_decode", {T, T, 2, 2, 64, 512, 4}, 8, window);
    launches.add("attention_prefill", {T, 2, 2, 64, 512, 64, 64, 2, 264}, 256, window);
  }
  const std::vector<AnyAttention> found = attentionsOf(launches.program(), launches.kernels);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(std::get<DecodeAttention>(found[0]).window, 512);
  EXPECT_EQ(std::get<Attention>(found[1]).window, 512);
}

class KernelTimes : public testing::Test {
protected:
  void SetUp() override {
    fake() = {};
    setenv("NANORT_CUDA_DRIVER", NANO_FAKE_CUDA, 1);
    setenv("NANORT_NVRTC", NANO_FAKE_CUDA, 1);
    setenv("NANORT_CUBLASLT", NANO_FAKE_CUDA, 1);
  }
  void TearDown() override {
    unsetenv("NANORT_CUDA_DRIVER");
    unsetenv("NANORT_NVRTC");
    unsetenv("NANORT_CUBLASLT");
    EXPECT_TRUE(fake().device.empty());
    EXPECT_EQ(fake().modules, 0);
    EXPECT_EQ(fake().contexts, 0);
    EXPECT_EQ(fake().liveExecs, 0);
  }

  static FakeCuda &fake() { return fakeCuda(NANO_FAKE_CUDA); }
  static void fails(const std::string &why) { ADD_FAILURE() << why; }

  /// Places that the launches of the `i`th chain give an argument.
  static std::set<uint64_t> placesOf(size_t i, const char *family, std::string_view argument) {
    const auto &args = codegen::findFamily(family)->args;
    std::set<uint64_t> places;
    for (size_t a = 0; a < args.size(); ++a)
      for (const FakeCuda::Node &node : fake().graphs[i])
        if (args[a].name == argument)
          places.insert(node.kernel.arguments[a]);
    return places;
  }
  static size_t programmatic(size_t i) {
    return static_cast<size_t>(std::count_if(fake().graphs[i].begin(), fake().graphs[i].end(),
                                             [](const FakeCuda::Node &node) { return node.programmatic; }));
  }
};

TEST_F(KernelTimes, StepsGoRoundInRingsThatL2DoesNotHold) {
  cuda::Workbench bench(0, "sm_90a", 2, {}, true);
  cuda::AttentionTimer timer(bench);
  const DecodeAttention step{bf16, bf16, 8, 4, 4, 128, 640, 640, 512, 12};
  const auto times = timer.time(step, fails);
  const auto choices = codegen::choicesFor(step, "sm_90a");
  ASSERT_EQ(times.size(), choices.size());
  ASSERT_EQ(fake().graphs.size(), choices.size());
  const uint64_t ring = uint64_t{8} * 2 * 4 * 640 * 128 * 2;
  for (size_t i = 0; i < times.size(); ++i) {
    EXPECT_EQ(times[i].choice, choices[i].text());
    EXPECT_GT(times[i].us, 0);
    const std::string family = choices[i].stem + "_ve";
    EXPECT_TRUE(times[i].kernel.starts_with(family + "_bf16_bf16_4_4_128_640_")) << times[i].kernel;
    const std::set<uint64_t> rings = placesOf(i, family.c_str(), "kv");
    EXPECT_GT(rings.size() * ring, uint64_t{150} << 20);
    EXPECT_LT(rings.size() * ring, uint64_t{180} << 20);
    EXPECT_EQ(*std::next(rings.begin()) - *rings.begin(), ring);
    EXPECT_EQ(placesOf(i, family.c_str(), "embeds").size(), rings.size());
    EXPECT_EQ(placesOf(i, family.c_str(), "qkv").size(), 1u); // its producer has just written it
    EXPECT_EQ(fake().graphs[i].size(), std::max<size_t>(20, rings.size()));
    EXPECT_EQ(programmatic(i), fake().graphs[i].size() - 1); // all fit beside another
  }
}

TEST_F(KernelTimes, PromptsAreLaunchesInChainsOfTwenty) {
  cuda::Workbench bench(0, "sm_90a", 2, {}, true);
  cuda::AttentionTimer timer(bench);
  const Attention prompt{bf16, 512, 4, 4, 96, 640, 640};
  const auto times = timer.time(prompt, fails);
  ASSERT_EQ(times.size(), 5u);
  EXPECT_EQ(times[0].choice, "attention");
  EXPECT_EQ(times[0].kernel, "attention_bf16_4_4_96_640");
  for (size_t i = 0; i < times.size(); ++i) {
    EXPECT_EQ(fake().graphs[i].size(), 20u) << times[i].choice;
    EXPECT_EQ(programmatic(i), times[i].choice.find("tile_q=64") == std::string::npos ? 0u : 19u) << times[i].choice;
  }

  // Without the general template, each behind the end of the one before: tests/bench/prefill_attention.cpp.
  fake().graphs.clear();
  EXPECT_EQ(timer.time(prompt, fails, {.count = 4, .general = false, .early = false}).size(), 4u);
  for (size_t i = 0; i < fake().graphs.size(); ++i)
    EXPECT_EQ(programmatic(i), 0u);

  // Where the general template takes milliseconds, one launch of it is a chain.
  fake().graphs.clear();
  EXPECT_EQ(timer.time(Attention{bf16, 2048, 4, 4, 96, 640, 640}, fails).size(), 5u);
  EXPECT_EQ(fake().graphs[0].size(), 1u);
  EXPECT_EQ(fake().graphs[1].size(), 20u);
}

TEST_F(KernelTimes, WhatDoesNotLoadIsNoReasonToLoseTheOthers) {
  const nanotest::TemporaryDirectory folder;
  const Attention prompt{bf16, 256, 2, 2, 64, 300, 300};
  {
    cuda::Workbench bench(0, "sm_90a", 1, folder.path, false);
    EXPECT_EQ(cuda::AttentionTimer(bench).time(prompt, fails).size(), 5u);
  }
  // One of the images in the cache becomes another that no driver takes.
  ASSERT_EQ(nanotest::filesIn(folder.path), 5u);
  const std::string broken = "no image";
  const Sha256 digest = sha256(std::as_bytes(std::span(broken)));
  nanotest::writeFile(std::filesystem::directory_iterator(folder.path)->path(),
                      broken + std::string(reinterpret_cast<const char *>(digest.data()), digest.size()));
  cuda::Workbench bench(0, "sm_90a", 1, folder.path, false);
  std::vector<std::string> refusals;
  EXPECT_EQ(cuda::AttentionTimer(bench).time(prompt, [&](const std::string &why) { refusals.push_back(why); }).size(),
            4u);
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_THAT(refusals[0], testing::HasSubstr("cuModuleLoadData"));
  EXPECT_THAT(refusals[0], testing::HasSubstr("attention"));
}

TEST_F(KernelTimes, TheLibraryIsMeasuredWithWhatAProductHasFused) {
  cuda::Workbench bench(0, "sm_90a", 1, {}, true);
  cuda::ProductTimer timer(bench);
  struct Fused {
    const char *epilogue;
    bool norm, relu2;
  };
  for (const Fused &fused :
       {Fused{"", false, false}, {"", true, true}, {"_add", false, false}, {"_add", true, false}}) {
    fake().graphs.clear();
    const codegen::Product product{fused.epilogue, bf16, bf16, 64, 128, 256, fused.norm, fused.relu2};
    const auto times = timer.time(product, 2, fails);
    ASSERT_EQ(times.size(), codegen::choicesFor(product, "sm_90a").size() + 2);
    ASSERT_EQ(fake().graphs.size(), times.size());
    EXPECT_EQ(times.back().kernel, "cublaslt");
    const std::vector<FakeCuda::Node> &chain = fake().graphs.back();
    const bool adds = *fused.epilogue, behind = adds || fused.relu2;
    const size_t length = 1 + fused.norm + behind;
    ASSERT_GE(chain.size(), 20 * length);
    ASSERT_EQ(chain.size() % length, 0u);
    for (size_t at = 0; at < chain.size(); at += length) {
      for (size_t i = at; i < at + length; ++i)
        EXPECT_EQ(chain[i].after, i == 0 ? std::vector<size_t>() : std::vector<size_t>{i - 1});
      const FakeCuda::Node &multiply = chain[at + fused.norm];
      ASSERT_EQ(multiply.products.size(), 1u);
      if (fused.norm) { // x, y, n
        EXPECT_EQ(chain[at].kernel.kernel, "rms_norm_bf16_256");
        EXPECT_EQ(chain[at].kernel.arguments[1], multiply.products[0].b);
        EXPECT_NE(chain[at].kernel.arguments[0], multiply.products[0].b);
        EXPECT_EQ(chain[at].kernel.arguments[2], 64u);
      }
      if (behind) { // what it reads, for a sum also the residual, y, count
        const std::vector<uint64_t> &arguments = chain[at + length - 1].kernel.arguments;
        EXPECT_EQ(chain[at + length - 1].kernel.kernel, adds ? "add_bf16" : "relu2_bf16");
        EXPECT_EQ(arguments.front(), multiply.products[0].c);
        EXPECT_EQ(arguments.back(), 64u * 128);
        EXPECT_EQ(std::set(arguments.begin(), arguments.end() - 1).size(), arguments.size() - 1); // none in place
      }
    }
  }
  // Nothing of the library's is a residual of two parts.
  EXPECT_EQ(timer.time({"_mix", bf16, bf16, 64, 128, 256}, 2, fails).size(),
            codegen::choicesFor(codegen::Product{"_mix", bf16, bf16, 64, 128, 256}, "sm_90a").size());
}

} // namespace
