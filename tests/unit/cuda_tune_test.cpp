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
using codegen::Problem;
using flatbuffers::Offset;

namespace {

constexpr int64_t T = static_cast<int64_t>(kernels::DType::BF16), F = static_cast<int64_t>(kernels::DType::F32);

/// A program of launches: what tuning does not look at is left out.
class Launches {
public:
  /// Parameters in the kernel's order.
  void add(const char *meaning, const char *engine, const std::vector<int64_t> &params, int32_t n, int32_t window = 0) {
    const kernels::Kernel &described = *kernels::catalogue().kernel(meaning, engine);
    ASSERT_EQ(params.size(), described.params.size()) << described.text();
    KernelInstance &kernel = kernels.emplace_back(KernelInstance{&described, {}, true});
    std::vector<Offset<schema::Param>> values;
    for (size_t i = 0; i < params.size(); ++i) {
      values.push_back(schema::CreateParamDirect(fbb, std::string(described.params[i].name).c_str(), params[i]));
      kernel.params.set(described.params[i].name, params[i]);
    }
    std::vector<Offset<schema::Arg>> args;
    for (const kernels::Arg &arg : described.args)
      args.push_back(
          schema::CreateArg(fbb, arg.access == kernels::Access::I32 ? schema::ArgKind::I32 : schema::ArgKind::Buffer, 0,
                            arg.name == "window" ? window : n));
    const std::vector<Offset<schema::Edge>> edges;
    const auto launch = schema::CreateLaunchDirect(fbb, static_cast<uint32_t>(instances.size()), &args);
    nodes.push_back(schema::CreateNodeDirect(fbb, schema::Work::Launch, launch.Union(), &edges));
    const std::vector<uint8_t> description;
    instances.push_back(schema::CreateKernelDirect(fbb, meaning, meaning, engine, &values, &description));
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
                                           nullptr, &entries, schema::CreateMemory(fbb)));
    return *flatbuffers::GetRoot<schema::Program>(fbb.GetBufferPointer());
  }

  std::vector<KernelInstance> kernels;

private:
  flatbuffers::FlatBufferBuilder fbb;
  std::vector<Offset<schema::Kernel>> instances;
  std::vector<Offset<schema::Node>> nodes;
};

std::vector<std::string> problemsIn(Launches &launches) {
  std::vector<std::string> texts;
  for (const Problem &problem : problemsOf(launches.program(), launches.kernels))
    texts.push_back(problem.text());
  return texts;
}

TEST(ProblemsOf, AProgramAreItsDistinctOnes) {
  Launches launches;
  launches.add("product", "stream", {T, T, 32, 64, 0, 1}, 1);
  launches.add("attention_step", "cluster", {T, F, 4, 2, 64, 129, 4}, 8, 128);
  launches.add("attention_step_gate", "spread", {T, T, 4, 2, 64, 129, 256, 12, 64, 132}, 8, 128);
  launches.add("attention_chunk", "wgmma", {T, 4, 2, 64, 129, 128, 128, 2, 132}, 512, 128);
  launches.add("attention_chunk", "simt", {T, 4, 2, 64, 129}, 16, 128);
  launches.add("product_add", "mma", {T, T, 32, 64, 0, 32, 64}, 16);
  launches.add("kv_write", "simt", {T, 2, 64, 129}, 16); // by one engine alone
  // What spreads a launch is no part of its problem.
  launches.add("attention_step", "spread", {T, F, 4, 2, 64, 129, 32, 132}, 8, 128);
  launches.add("attention_chunk", "simt", {T, 4, 2, 64, 129}, 512, 128);
  launches.add("product", "stream", {T, T, 32, 64, 0, 1}, 1);
  // Another number of rows, another ring, a norm.
  launches.add("attention_step", "cluster", {T, F, 4, 2, 64, 129, 4}, 1, 128);
  launches.add("attention_step", "cluster", {T, F, 4, 2, 64, 513, 4}, 1, 512);
  launches.add("product", "stream", {T, T, 32, 64, 1, 1}, 1);
  EXPECT_THAT(problemsIn(launches),
              testing::ElementsAre(
                  "product T=bf16 O=bf16 K=32 N=64 norm=0 n=1",
                  "attention_step T=bf16 P=f32 heads=4 kv_heads=2 D=64 ring=129 window=128 n=8",
                  "attention_step_gate T=bf16 P=bf16 heads=4 kv_heads=2 D=64 ring=129 C=256 channels=12 window=128 n=8",
                  "attention_chunk T=bf16 heads=4 kv_heads=2 D=64 ring=129 window=128 n=512",
                  "attention_chunk T=bf16 heads=4 kv_heads=2 D=64 ring=129 window=128 n=16",
                  "product_add T=bf16 O=bf16 K=32 N=64 norm=0 n=16",
                  "attention_step T=bf16 P=f32 heads=4 kv_heads=2 D=64 ring=129 window=128 n=1",
                  "attention_step T=bf16 P=f32 heads=4 kv_heads=2 D=64 ring=513 window=512 n=1",
                  "product T=bf16 O=bf16 K=32 N=64 norm=1 n=1"));
}

// As nanocc asks for them: its launches of one kernel have each their window.
TEST(ProblemsOf, EveryWindowIsAProblem) {
  Launches launches;
  for (int32_t window : {511, 512, 511})
    launches.add("attention_chunk", "wgmma", {T, 2, 2, 64, 512, 64, 64, 2, 264}, 256, window);
  EXPECT_THAT(problemsIn(launches),
              testing::ElementsAre("attention_chunk T=bf16 heads=2 kv_heads=2 D=64 ring=512 window=511 n=256",
                                   "attention_chunk T=bf16 heads=2 kv_heads=2 D=64 ring=512 window=512 n=256"));
}

Problem chunk(int64_t tokens, int64_t heads, int64_t dim, int64_t ring) {
  return {"attention_chunk",
          {{"T", T},
           {"heads", heads},
           {"kv_heads", heads},
           {"D", dim},
           {"ring", ring},
           {"window", ring},
           {"n", tokens},
           {"rows", 1}}};
}

Problem product(const char *meaning, int64_t norm) {
  return {meaning, {{"T", T}, {"O", T}, {"K", 256}, {"N", 128}, {"norm", norm}, {"n", 64}}};
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

  /// Places that the launches of the `i`th chain give an argument of a kernel.
  static std::set<uint64_t> placesOf(size_t i, const kernels::Kernel &kernel, std::string_view argument) {
    const auto &args = kernel.args;
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
  const Problem step{"attention_step_gate",
                     {{"T", T},
                      {"P", T},
                      {"heads", 4},
                      {"kv_heads", 4},
                      {"D", 128},
                      {"ring", 640},
                      {"C", 512},
                      {"channels", 12},
                      {"window", 640},
                      {"n", 8}}};
  const auto times = timer.step(step, fails);
  const auto choices = codegen::choicesFor(step, "sm_90a");
  ASSERT_EQ(times.size(), choices.size());
  ASSERT_EQ(fake().graphs.size(), choices.size());
  const uint64_t ring = uint64_t{8} * 2 * 4 * 640 * 128 * 2;
  for (size_t i = 0; i < times.size(); ++i) {
    EXPECT_EQ(times[i].choice, choices[i].text());
    EXPECT_GT(times[i].us, 0);
    const kernels::Kernel &kernel = *kernels::catalogue().kernel(step.meaning, choices[i].engine);
    EXPECT_TRUE(times[i].kernel.starts_with(step.meaning + "_" + choices[i].engine + "_bf16_bf16_4_4_128_640_"))
        << times[i].kernel;
    const std::set<uint64_t> rings = placesOf(i, kernel, "kv");
    EXPECT_GT(rings.size() * ring, uint64_t{150} << 20);
    EXPECT_LT(rings.size() * ring, uint64_t{180} << 20);
    EXPECT_EQ(*std::next(rings.begin()) - *rings.begin(), ring);
    EXPECT_EQ(placesOf(i, kernel, "embeds").size(), rings.size());
    EXPECT_EQ(placesOf(i, kernel, "qkv").size(), 1u); // its producer has just written it
    EXPECT_EQ(fake().graphs[i].size(), std::max<size_t>(20, rings.size()));
    EXPECT_EQ(programmatic(i), fake().graphs[i].size() - 1); // all fit beside another
  }
}

TEST_F(KernelTimes, PromptsAreLaunchesInChainsOfTwenty) {
  cuda::Workbench bench(0, "sm_90a", 2, {}, true);
  cuda::AttentionTimer timer(bench);
  const Problem prompt = chunk(512, 4, 96, 640);
  const auto times = timer.chunk(prompt, fails);
  ASSERT_EQ(times.size(), 5u);
  EXPECT_EQ(times[0].choice, "simt");
  EXPECT_EQ(times[0].kernel, "attention_chunk_simt_bf16_4_4_96_640");
  for (size_t i = 0; i < times.size(); ++i) {
    EXPECT_EQ(fake().graphs[i].size(), 20u) << times[i].choice;
    EXPECT_EQ(programmatic(i), times[i].choice.find("tile_q=64") == std::string::npos ? 0u : 19u) << times[i].choice;
  }

  // Without the general engine, each behind the end of the one before: tests/bench/prefill_attention.cpp.
  fake().graphs.clear();
  EXPECT_EQ(timer.chunk(prompt, fails, {.count = 4, .general = false, .early = false}).size(), 4u);
  for (size_t i = 0; i < fake().graphs.size(); ++i)
    EXPECT_EQ(programmatic(i), 0u);

  // Where the general engine takes milliseconds, one launch of it is a chain.
  fake().graphs.clear();
  EXPECT_EQ(timer.chunk(chunk(2048, 4, 96, 640), fails).size(), 5u);
  EXPECT_EQ(fake().graphs[0].size(), 1u);
  EXPECT_EQ(fake().graphs[1].size(), 20u);
}

TEST_F(KernelTimes, WhatDoesNotLoadIsNoReasonToLoseTheOthers) {
  const nanotest::TemporaryDirectory folder;
  const Problem prompt = chunk(256, 2, 64, 300);
  {
    cuda::Workbench bench(0, "sm_90a", 1, folder.path, false);
    EXPECT_EQ(cuda::AttentionTimer(bench).chunk(prompt, fails).size(), 5u);
  }
  // One of the images in the cache becomes another that no driver takes.
  ASSERT_EQ(nanotest::filesIn(folder.path), 5u);
  const std::string broken = "no image";
  const Sha256 digest = sha256(std::as_bytes(std::span(broken)));
  nanotest::writeFile(std::filesystem::directory_iterator(folder.path)->path(),
                      broken + std::string(reinterpret_cast<const char *>(digest.data()), digest.size()));
  cuda::Workbench bench(0, "sm_90a", 1, folder.path, false);
  std::vector<std::string> refusals;
  EXPECT_EQ(cuda::AttentionTimer(bench).chunk(prompt, [&](const std::string &why) { refusals.push_back(why); }).size(),
            4u);
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_THAT(refusals[0], testing::HasSubstr("cuModuleLoadData"));
  EXPECT_THAT(refusals[0], testing::HasSubstr("attention"));
}

TEST_F(KernelTimes, TheLibraryIsMeasuredWithWhatAProductHasFused) {
  cuda::Workbench bench(0, "sm_90a", 1, {}, true);
  cuda::ProductTimer timer(bench);
  for (const Problem &problem :
       {product("product", 0), product("product_relu2", 1), product("product_add", 0), product("product_add", 1)}) {
    fake().graphs.clear();
    const auto times = timer.time(problem, 2, fails);
    ASSERT_EQ(times.size(), codegen::choicesFor(problem, "sm_90a").size() + 2);
    ASSERT_EQ(fake().graphs.size(), times.size());
    EXPECT_EQ(times.back().kernel, "cublaslt");
    const std::vector<FakeCuda::Node> &chain = fake().graphs.back();
    const bool norm = problem.values["norm"] != 0, adds = problem.meaning == "product_add",
               behind = problem.meaning != "product";
    const size_t length = 1 + norm + behind;
    ASSERT_GE(chain.size(), 20 * length);
    ASSERT_EQ(chain.size() % length, 0u);
    for (size_t at = 0; at < chain.size(); at += length) {
      for (size_t i = at; i < at + length; ++i)
        EXPECT_EQ(chain[i].after, i == 0 ? std::vector<size_t>() : std::vector<size_t>{i - 1});
      const FakeCuda::Node &multiply = chain[at + norm];
      ASSERT_EQ(multiply.products.size(), 1u);
      if (norm) { // x, y, n
        EXPECT_EQ(chain[at].kernel.kernel, "rms_norm_simt_bf16_256");
        EXPECT_EQ(chain[at].kernel.arguments[1], multiply.products[0].b);
        EXPECT_NE(chain[at].kernel.arguments[0], multiply.products[0].b);
        EXPECT_EQ(chain[at].kernel.arguments[2], 64u);
      }
      if (behind) { // what it reads, for a sum also the residual, y, count
        const std::vector<uint64_t> &arguments = chain[at + length - 1].kernel.arguments;
        EXPECT_EQ(chain[at + length - 1].kernel.kernel, adds ? "add_simt_bf16" : "relu2_simt_bf16");
        EXPECT_EQ(arguments.front(), multiply.products[0].c);
        EXPECT_EQ(arguments.back(), 64u * 128);
        EXPECT_EQ(std::set(arguments.begin(), arguments.end() - 1).size(), arguments.size() - 1); // none in place
      }
    }
  }
  // Nothing of the library's is a residual of two parts.
  EXPECT_EQ(timer.time(product("product_mix", 0), 2, fails).size(),
            codegen::choicesFor(product("product_mix", 0), "sm_90a").size());
}

} // namespace
