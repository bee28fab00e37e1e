// The CUDA executor against a driver that records: what it allocates, moves, launches, and says when something fails.
#include "runtime/base/error.h"
#include "runtime/cuda/memory.h"
#include "runtime/executor/executor.h"
#include "runtime/executor/host_math.h"
#include "runtime/weights/constants.h"
#include "tests/unit/cuda_fake.h"
#include "tests/unit/cuda_plan.h"

#include <bit>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace nanort;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

FakeCuda &fake() { return fakeCuda(NANO_FAKE_CUDA); }

class CudaExecutor : public testing::Test {
protected:
  void SetUp() override {
    fake() = {};
    setenv("NANORT_CUDA_DRIVER", NANO_FAKE_CUDA, 1);
    setenv("NANORT_CUBLASLT", NANO_FAKE_CUDA, 1);
    setenv("NANORT_NVRTC", "/nonexistent/libnvrtc.so", 1);
    folder = testing::TempDir() + "nano_cuda_executor." + std::to_string(getpid());
    std::filesystem::create_directories(folder);
  }
  void TearDown() override {
    for (const char *name : {"NANORT_CUDA_DRIVER", "NANORT_CUBLASLT", "NANORT_NVRTC", "NANORT_SYNC", "NANORT_POISON"})
      unsetenv(name);
    std::filesystem::remove_all(folder);
  }

  std::unique_ptr<Executor> make(const CudaPlanOptions &options = {}, bool graphs = false, bool times = false,
                                 bool fullEdges = false) {
    plan = CudaPlan::open(folder / "plan.fb", options);
    CudaOptions how;
    how.fullEdges = fullEdges;
    how.graphs = graphs;
    how.times = how.noCache = times;
    return makeCudaExecutor(plan, 0, Weights::random(plan, 7), how);
  }
  std::unique_ptr<Executor> makeWithGraphs(const CudaPlanOptions &options = {}) { return make(options, true); }

  /// The exit code and message of a call that must fail.
  template <typename F> static std::pair<Exit, std::string> failure(F &&call) {
    try {
      call();
    } catch (const Error &error) {
      return {error.code, error.what()};
    }
    ADD_FAILURE() << "nothing was thrown";
    return {Exit::Ok, ""};
  }

  /// Base addresses of the spaces, from the sizes that were asked for.
  uint64_t base(uint64_t bytes) const {
    for (auto [address, size] : fake().device)
      if (size == bytes)
        return reinterpret_cast<uint64_t>(address);
    ADD_FAILURE() << "no allocation of " << bytes << " bytes";
    return 0;
  }

  void expectNothingLeft() {
    EXPECT_TRUE(fake().device.empty());
    EXPECT_TRUE(fake().host.empty());
    EXPECT_EQ(fake().contexts, 0);
    EXPECT_EQ(fake().streams, 0);
    EXPECT_EQ(fake().events, 0);
    EXPECT_EQ(fake().modules, 0);
    EXPECT_EQ(fake().handles, 0);
    EXPECT_EQ(fake().liveGraphs, 0);
    EXPECT_EQ(fake().liveExecs, 0);
  }

  std::filesystem::path folder;
  std::shared_ptr<const Plan> plan;
};

TEST_F(CudaExecutor, RequestsExactlyThePlansMemoryAndGivesItBack) {
  auto executor = make();
  EXPECT_THAT(fake().allocations, ElementsAre(CudaPlan::constantBytes, CudaPlan::stateBytes, CudaPlan::arenaBytes,
                                              CudaPlan::workspaceBytes)); // nothing for the empty KV
  const ExecutorStats &stats = executor->stats();
  EXPECT_EQ(stats.constants, CudaPlan::constantBytes);
  EXPECT_EQ(stats.kv, 0u);
  EXPECT_EQ(stats.state, CudaPlan::stateBytes);
  EXPECT_EQ(stats.arena, CudaPlan::arenaBytes);
  EXPECT_EQ(stats.workspace, CudaPlan::workspaceBytes);
  EXPECT_EQ(executor->device(), "Fake GPU");
  EXPECT_THAT(stats.notes, testing::Contains(HasSubstr("cuBLASLt 13.1.0")));
  executor.reset();
  expectNothingLeft();
}

// 20 MiB go through two pieces of 8 MiB: a piece that is reused too early, or an offset that is off, changes bytes.
TEST_F(CudaExecutor, ConstantsArriveUnchangedFromAFileAndFromRandomNumbers) {
  auto executor = make();
  std::vector<float> small(CudaPlan::vocab * CudaPlan::width), large(CudaPlan::largeElements);
  executor->read(CudaPlan::head, small.data(), small.size() * 4);
  executor->read(CudaPlan::large, large.data(), large.size() * 4);

  auto math = makeHostMath(1);
  Weights random = Weights::random(plan, 7);
  std::vector<float> expected(large.size());
  ConstantMaker(random, plan->program(0), *plan->program(0).constants()->Get(2))
      .write(0, Layout::Device, 0, expected.size(), reinterpret_cast<std::byte *>(expected.data()), *math);
  EXPECT_EQ(large, expected);
  EXPECT_LE(fake().largestCopy, static_cast<int>(cuda::Staging::pieceBytes));

  random.save(folder / "model.safetensors", *math);
  Weights file = Weights::fromFile(plan, folder / "model.safetensors");
  auto mapped = makeCudaExecutor(plan, 0, file, {});
  std::vector<float> again(small.size());
  mapped->read(CudaPlan::head, again.data(), again.size() * 4);
  EXPECT_EQ(again, small);
  std::fill(large.begin(), large.end(), 0.f);
  mapped->read(CudaPlan::large, large.data(), large.size() * 4);
  EXPECT_EQ(large, expected);
}

TEST_F(CudaExecutor, LaunchesInOrderWithTheArgumentsOfThePlan) {
  auto executor = make();
  const int32_t token = 2;
  executor->write(CudaPlan::tokens, &token, sizeof token);
  executor->run(0);
  executor->run(0); // the arguments are marshalled once and stay valid
  ASSERT_EQ(fake().launches.size(), 4u);
  uint64_t constants = base(CudaPlan::constantBytes), workspace = base(CudaPlan::workspaceBytes);
  uint64_t state = 0, arena = 0; // both have 512 bytes: the token tells them apart
  for (auto [address, bytes] : fake().device)
    if (bytes == 512)
      (*static_cast<int32_t *>(address) == token ? state : arena) = reinterpret_cast<uint64_t>(address);
  ASSERT_TRUE(state && arena && workspace);
  for (size_t i : {0, 2}) {
    const FakeCuda::Launch &embed = fake().launches[i], &scale = fake().launches[i + 1];
    EXPECT_EQ(embed.kernel, "embed_f32_4");
    EXPECT_THAT(embed.arguments, ElementsAre(state, constants, arena, 1));
    EXPECT_EQ(scale.kernel, "scale_f32");
    EXPECT_THAT(scale.arguments, ElementsAre(arena, arena + 256, std::bit_cast<uint32_t>(0.5f), CudaPlan::width));
    const schema::Launch &node = *plan->program(0).entries()->Get(0)->nodes()->Get(0)->work_as_Launch();
    EXPECT_THAT(embed.grid, testing::ElementsAreArray(node.grid()->begin(), node.grid()->end()));
    EXPECT_THAT(embed.block, testing::ElementsAreArray(node.block()->begin(), node.block()->end()));
  }
  executor->runNode(0, 1);
  ASSERT_EQ(fake().launches.size(), 5u);
  EXPECT_EQ(fake().launches.back().kernel, "scale_f32");
}

TEST_F(CudaExecutor, AGemmIsTheTransposedProductWithoutTimingDependentSums) {
  auto executor = make();
  executor->run(0);
  executor->run(0);
  EXPECT_EQ(fake().heuristics, 1); // once, not per step
  ASSERT_EQ(fake().products.size(), 2u);
  const FakeCuda::Product &product = fake().products[0];
  EXPECT_EQ(product.transposeA, 1);
  EXPECT_EQ(product.rowsA, CudaPlan::width); // w [N, K] read by columns is [K, N]
  EXPECT_EQ(product.columnsA, CudaPlan::vocab);
  EXPECT_EQ(product.columnsB, 1u);
  EXPECT_EQ(product.rowsC, CudaPlan::vocab);
  EXPECT_EQ(product.columnsC, 1u);
  EXPECT_EQ(product.a, base(CudaPlan::constantBytes) + 256);
  EXPECT_EQ(product.workspaceLimit, CudaPlan::workspaceBytes);
  EXPECT_EQ(product.reductions, 2u); // only in the compute type
}

TEST_F(CudaExecutor, AMeasuredAlgorithmIsTakenFromItsVersionOfTheLibraryAlone) {
  struct Expected {
    const char *version;
    uint32_t asked;
    uint64_t taken;
  };
  for (const Expected &e : {Expected{"13.1.0", 2, 2}, Expected{"13.2.0", 2, 0}, Expected{"", 0, 0},
                            Expected{"13.1.0", 7, 0}}) { // the last: beyond what the library offers
    make({.library = e.version, .algorithm = e.asked})->run(0);
    ASSERT_EQ(fake().products.size(), 1u);
    EXPECT_EQ(fake().products[0].algorithm, e.taken) << e.version << ", algorithm " << e.asked;
    fake() = {};
  }
}

TEST_F(CudaExecutor, AGraphHasTheNodesEdgesAndArgumentsOfItsEntry) {
  auto eager = make();
  eager->run(0);
  const std::vector<FakeCuda::Launch> expected = fake().launches;
  eager.reset();
  fake() = {};

  auto executor = makeWithGraphs({.programmatic = true});
  EXPECT_TRUE(fake().graphs.empty()); // made on first use
  const int32_t token = 2;
  executor->write(CudaPlan::tokens, &token, sizeof token);
  executor->run(0);
  executor->run(0);
  ASSERT_EQ(fake().graphs.size(), 1u);
  EXPECT_EQ(fake().uploads, 1);
  EXPECT_EQ(fake().graphLaunches, 2);
  const std::vector<FakeCuda::Node> &nodes = fake().graphs[0];
  ASSERT_EQ(nodes.size(), 3u);
  EXPECT_THAT(nodes[0].after, ElementsAre());
  EXPECT_THAT(nodes[1].after, ElementsAre(0));
  EXPECT_THAT(nodes[2].after, ElementsAre(1));
  EXPECT_FALSE(nodes[0].programmatic);
  EXPECT_TRUE(nodes[1].programmatic);
  EXPECT_FALSE(nodes[2].programmatic); // the library's kernels do not wait
  for (size_t i : {0, 1}) {
    EXPECT_EQ(nodes[i].kernel.kernel, expected[i].kernel);
    EXPECT_THAT(nodes[i].kernel.grid, testing::ElementsAreArray(expected[i].grid));
    EXPECT_THAT(nodes[i].kernel.block, testing::ElementsAreArray(expected[i].block));
    EXPECT_EQ(nodes[i].kernel.arguments.size(), expected[i].arguments.size());
  }
  const uint64_t arena = nodes[0].kernel.arguments[2];
  EXPECT_EQ(nodes[0].kernel.arguments[1], base(CudaPlan::constantBytes));
  EXPECT_THAT(nodes[1].kernel.arguments,
              ElementsAre(arena, arena + 256, std::bit_cast<uint32_t>(0.5f), CudaPlan::width));
  ASSERT_EQ(nodes[2].products.size(), 1u);
  EXPECT_EQ(nodes[2].products[0].a, base(CudaPlan::constantBytes) + 256);
  EXPECT_EQ(nodes[2].products[0].b, arena + 256);
  EXPECT_EQ(fake().products.size(), 2u); // capturing ran nothing
  executor.reset();
  expectNothingLeft();
}

TEST_F(CudaExecutor, EdgesAreFullWhereTheDeviceOrTheDriverKnowsNoOther) {
  fake().driverVersion = 12080;
  auto executor = makeWithGraphs({.programmatic = true});
  executor->run(0);
  EXPECT_FALSE(fake().graphs.at(0)[1].programmatic);
  EXPECT_THAT(fake().graphs[0][1].after, ElementsAre(0));
  EXPECT_THAT(executor->stats().notes, testing::Contains(HasSubstr("full edges")));
  executor.reset();
  fake() = {};
  fake().major = 8;
  executor = makeWithGraphs({.target = "sm_80", .programmatic = true});
  executor->run(0);
  EXPECT_FALSE(fake().graphs.at(0)[1].programmatic);
  executor.reset();
  fake() = {};
  executor = make({.programmatic = true}, true, false, true); // as asked for
  executor->run(0);
  EXPECT_FALSE(fake().graphs.at(0)[1].programmatic);
  EXPECT_THAT(executor->stats().notes, testing::Contains(HasSubstr("full edges")));
}

TEST_F(CudaExecutor, PtxOfOlderDevicesRunsWithoutNvrtcAndItsEdgesAreFull) {
  setenv("NANORT_NVRTC", "/nonexistent/libnvrtc.so", 1);
  auto executor = makeWithGraphs({.target = "compute_80", .programmatic = true});
  executor->run(0);
  EXPECT_FALSE(fake().graphs.at(0)[1].programmatic); // its kernels do not wait for their producers themselves
  EXPECT_THAT(fake().graphs[0][1].after, ElementsAre(0));
  EXPECT_THAT(executor->stats().notes, testing::Contains(HasSubstr("full edges")));
}

TEST_F(CudaExecutor, AKernelThatFillsMoreThanHalfAnSmWithRegistersIsNoted) {
  auto executor = makeWithGraphs({.programmatic = true});
  EXPECT_THAT(executor->stats().notes, testing::Not(testing::Contains(HasSubstr("half an SM"))));
  executor.reset();
  fake().registers = 255;
  executor = makeWithGraphs({.programmatic = true});
  EXPECT_THAT(executor->stats().notes, testing::Contains(HasSubstr("kernel scale_f32: 255 registers")));
  executor.reset();
  executor = makeWithGraphs();
  EXPECT_THAT(executor->stats().notes, testing::Not(testing::Contains(HasSubstr("half an SM"))));
}

TEST_F(CudaExecutor, AGraphThatFailsNamesEntryAndNode) {
  auto executor = makeWithGraphs({.programmatic = true});
  fake().graphNodeResult = 719;
  auto [code, message] = failure([&] { executor->run(0); });
  EXPECT_EQ(code, Exit::Cuda);
  EXPECT_THAT(message, HasSubstr("entry decode_1, node 0 (embed_f32_4): cuGraphAddKernelNode"));
  fake().graphNodeResult = 0;
  fake().graphLaunchResult = 719;
  std::tie(code, message) = failure([&] { executor->run(0); });
  EXPECT_EQ(code, Exit::Cuda);
  EXPECT_THAT(message, HasSubstr("entry decode_1: cuGraphLaunch"));
  executor.reset();
  expectNothingLeft();
}

TEST_F(CudaExecutor, SynchronousRunsLaunchByLaunch) {
  setenv("NANORT_SYNC", "1", 1);
  auto executor = makeWithGraphs();
  executor->run(0);
  EXPECT_TRUE(fake().graphs.empty());
  EXPECT_EQ(fake().launches.size(), 2u);
}

// Waiting and copying cost as much as launches: a step has one copy in, and waits when its result is read.
TEST_F(CudaExecutor, InputsTravelTogetherAndNothingWaitsForThem) {
  auto executor = makeWithGraphs();
  fake().copies.clear();
  const int waits = fake().synchronizations;
  for (int32_t token : {1, 2}) {
    executor->write(CudaPlan::tokens, &token, sizeof token);
    executor->write(CudaPlan::tokens, &token, sizeof token);
    executor->run(0);
    int32_t arrived = 0;
    std::memcpy(&arrived, reinterpret_cast<void *>(fake().graphs.at(0)[0].kernel.arguments[0]), sizeof arrived);
    EXPECT_EQ(arrived, token);
  }
  EXPECT_THAT(fake().copies, ElementsAre(4, 4));
  EXPECT_EQ(fake().synchronizations, waits);
  const int32_t token = 0;
  int32_t back = -1;
  executor->write(CudaPlan::tokens, &token, sizeof token);
  executor->read(CudaPlan::tokens, &back, sizeof back); // a read sees an earlier write
  EXPECT_EQ(back, 0);
  EXPECT_EQ(fake().synchronizations, waits + 1);
}

TEST_F(CudaExecutor, LaunchesSayWhenTheyRanIfAsked) {
  setenv("NANORT_NVRTC", NANO_FAKE_CUDA, 1);
  for (bool graphs : {false, true}) {
    auto executor = make({}, graphs, true);
    EXPECT_EQ(executor->launchTimes(0).at(0).end, 0u); // none has run
    for (int run = 0; run < 2; ++run) {
      executor->run(0);
      const std::vector<LaunchTime> times = executor->launchTimes(0);
      ASSERT_EQ(times.size(), 3u);
      for (size_t i : {0, 1})
        EXPECT_EQ(times[i].end - times[i].begin, 1000u);
      EXPECT_EQ(times[1].begin, times[0].end);
      EXPECT_EQ(times[2].end, 0u);           // the library takes no times
      EXPECT_EQ(times[1].end, fake().clock); // of this run, not the least of all
    }
    executor.reset();
    expectNothingLeft();
  }
  EXPECT_TRUE(make()->launchTimes(0).empty());
}

TEST_F(CudaExecutor, TimesNeedNvrtc) {
  auto [code, message] = failure([&] { make({}, true, true); });
  EXPECT_EQ(code, Exit::Device);
  EXPECT_THAT(message, HasSubstr("install NVRTC"));
}

TEST_F(CudaExecutor, OutOfMemoryNamesWhatWasAskedAndWhatIsFree) {
  fake().memory = CudaPlan::constantBytes + 600; // the state fits, the arena does not
  auto [code, message] = failure([&] { make(); });
  EXPECT_EQ(code, Exit::Memory);
  EXPECT_THAT(message, HasSubstr("512 bytes of Arena memory"));
  EXPECT_THAT(message, HasSubstr("88 bytes free"));
  EXPECT_THAT(message, HasSubstr("cuMemAlloc: out of memory (CUDA_ERROR_OUT_OF_MEMORY)"));
  expectNothingLeft();
}

TEST_F(CudaExecutor, AFailedLaunchNamesEntryNodeAndKernel) {
  auto executor = make();
  fake().launchResult = 719;
  auto [code, message] = failure([&] { executor->run(0); });
  EXPECT_EQ(code, Exit::Cuda);
  EXPECT_THAT(message, HasSubstr("entry decode_1, node 0 (embed_f32_4): cuLaunchKernel"));
}

TEST_F(CudaExecutor, AnErrorThatSurfacesLaterNamesTheEntryAndTheSwitchThatFindsTheLaunch) {
  auto executor = make();
  executor->run(0);
  fake().synchronizeResult = 700;
  float logits[3];
  auto [code, message] = failure([&] { executor->read(CudaPlan::logits, logits, sizeof logits); });
  EXPECT_EQ(code, Exit::Cuda);
  EXPECT_THAT(message, HasSubstr("buffer logits after entry decode_1"));
  EXPECT_THAT(message, HasSubstr("NANORT_SYNC=1"));
  executor.reset();

  setenv("NANORT_SYNC", "1", 1);
  fake().synchronizeResult = 0;
  executor = make();
  fake().synchronizeResult = 700;
  EXPECT_THAT(failure([&] { executor->run(0); }).second, HasSubstr("entry decode_1, node 0 (embed_f32_4)"));
}

TEST_F(CudaExecutor, PoisonFillsTheArenaBeforeEachRun) {
  setenv("NANORT_POISON", "1", 1);
  auto executor = make();
  fake().fills.clear();
  executor->run(0);
  EXPECT_THAT(fake().fills, ElementsAre(std::pair<uint64_t, int>(CudaPlan::arenaBytes, 0xff)));
}

TEST_F(CudaExecutor, WithoutADriverItSaysWhatItLookedFor) {
  setenv("NANORT_CUDA_DRIVER", "/nonexistent/libcuda.so.1", 1);
  auto [code, message] = failure([&] { make(); });
  EXPECT_EQ(code, Exit::Device);
  EXPECT_THAT(message, HasSubstr("/nonexistent/libcuda.so.1"));
}

TEST_F(CudaExecutor, AnImageForAnotherArchitectureNeedsNvrtcOrAnotherTarget) {
  auto [code, message] = failure([&] { make({.target = "sm_100a", .sources = true}); });
  EXPECT_EQ(code, Exit::Device);
  EXPECT_THAT(message, HasSubstr("kernel embed_f32_4"));
  EXPECT_THAT(message, HasSubstr("compile with --target sm_90a or install NVRTC"));
  std::tie(code, message) = failure([&] { make({.target = "sm_100a", .sources = false}); });
  EXPECT_EQ(code, Exit::Device);
  EXPECT_THAT(message, HasSubstr("no source: compile with --target sm_90a"));
  expectNothingLeft();
}

TEST_F(CudaExecutor, WhatASourceIncludesComesBeforeItInThePlansOrder) {
  setenv("NANORT_NVRTC", NANO_FAKE_CUDA, 1);
  setenv("NANORT_CACHE_DIR", folder.c_str(), 1);
  make({.cubins = false, .sources = true});
  unsetenv("NANORT_CACHE_DIR");
  const std::string text = "#line 1 \"/kernels_templates/early.cuh\"\n// early\n"
                           "#line 1 \"/kernels_templates/late.cuh\"\n// late\nextern \"C\" __global__ void ";
  EXPECT_THAT(fake().compiled, testing::UnorderedElementsAre(testing::StartsWith(text + "embed_f32_4("),
                                                             testing::StartsWith(text + "scale_f32(")));
}

TEST_F(CudaExecutor, AnOlderMinorVersionsImageRuns) {
  fake().major = 8;
  fake().minor = 9;
  EXPECT_NO_THROW(make({.target = "sm_80"}));
}

TEST_F(CudaExecutor, AnOldDriverAndACpuProgramAreRefusedWithTheRemedy) {
  auto [code, message] = failure([&] { make({.minDriver = 13010}); });
  EXPECT_EQ(code, Exit::Device);
  EXPECT_THAT(message, HasSubstr("the driver is for CUDA 13.0, program sm_90a needs 13.1: update the driver"));
  std::tie(code, message) = failure([&] { make({.target = "cpu", .minDriver = 0}); });
  EXPECT_EQ(code, Exit::Device);
  EXPECT_THAT(message, HasSubstr("holds no CUDA kernels"));
  expectNothingLeft();
}

} // namespace
