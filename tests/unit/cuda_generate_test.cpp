// Generate entries in the CUDA executor, against a driver that records: the graph with its loops, and the same launch
// by launch.
#include "runtime/executor/executor.h"
#include "runtime/session/memory.h"
#include "tests/unit/cuda_fake.h"
#include "tests/unit/cuda_plan.h"
#include "tests/unit/tiny_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace nanort;
using namespace nanort::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

FakeCuda &fake() { return fakeCuda(NANO_FAKE_CUDA); }

class CudaGenerate : public testing::Test {
protected:
  void SetUp() override {
    fake() = {};
    setenv("NANORT_CUDA_DRIVER", NANO_FAKE_CUDA, 1);
    Json json = tinyPlan({{4}, {2}, 0, "sm_90a", true});
    addFakeImages(json["programs"][0]);
    // What feed leaves behind is all that the next turn's chunk waits for: nothing of it may start earlier.
    plan = openPlan(dir, json);
    for (uint32_t i = 0; i < plan->program(0).entries()->size(); ++i)
      if (plan->program(0).entries()->Get(i)->kind() == schema::EntryKind::Generate)
        entry = i;
  }
  void TearDown() override {
    unsetenv("NANORT_CUDA_DRIVER");
    fake().onLaunch = nullptr;
  }

  std::unique_ptr<Executor> make(bool graphs) {
    CudaOptions options;
    options.graphs = graphs;
    return makeCudaExecutor(plan, 0, Weights::random(plan, 7), options);
  }
  const schema::Entry &generate() const { return *plan->program(0).entries()->Get(entry); }
  const schema::Entry &repeated(uint32_t loop) const {
    return *plan->program(0).entries()->Get(generate().loops()->Get(loop)->entry());
  }

  TempDir dir;
  std::shared_ptr<const Plan> plan;
  uint32_t entry = 0;
};

TEST_F(CudaGenerate, TheDriverIsAskedForThePlansBytesAndNoMore) {
  auto executor = make(true);
  for (uint32_t i = 0; i < plan->program(0).entries()->size(); ++i)
    executor->run(i); // makes all graphs
  const MemoryNeed need = requestedBy(plan->program(0));
  uint64_t asked = 0;
  for (size_t bytes : fake().allocations)
    asked += bytes;
  EXPECT_EQ(asked, need.plan());
  const ExecutorStats &stats = executor->stats();
  EXPECT_EQ(stats.constants, need.constants);
  EXPECT_EQ(stats.kv, need.kv);
  EXPECT_EQ(stats.state, need.state);
  EXPECT_EQ(stats.arena, need.arena);
  EXPECT_EQ(stats.workspace, need.workspace);
  EXPECT_GT(need.kv, 0u);
  EXPECT_GT(need.arena, 0u);
  EXPECT_EQ(need.total(), need.plan() + contextAllowance);
}

TEST_F(CudaGenerate, IsOneGraphWithALoopOverChunksAndOneOverSteps) {
  auto executor = make(true);
  EXPECT_TRUE(executor->prefersGeneration());
  executor->run(entry);
  executor->run(entry);
  ASSERT_EQ(fake().graphs.size(), 1u);
  EXPECT_EQ(fake().uploads, 1);
  EXPECT_EQ(fake().graphLaunches, 2);
  EXPECT_EQ(fake().conditions, 2u);
  const std::vector<FakeCuda::Node> &nodes = fake().graphs[0];
  ASSERT_EQ(nodes.size(), 3u);
  EXPECT_EQ(nodes[0].kernel.kernel, "feed_12");
  EXPECT_THAT(nodes[0].kernel.arguments.back(), 2u); // the loop over steps
  EXPECT_THAT(nodes[1].after, ElementsAre(0));
  EXPECT_THAT(nodes[2].after, ElementsAre(1));
  for (uint32_t loop : {0, 1}) {
    const std::vector<FakeCuda::Node> &body = nodes[1 + loop].body;
    EXPECT_EQ(nodes[1 + loop].condition, loop + 1);
    const auto &own = *repeated(loop).nodes();
    ASSERT_EQ(body.size(), own.size() + 1);
    for (uint32_t i = 0; i < own.size(); ++i)
      EXPECT_EQ(body[i].kernel.kernel, plan->program(0).kernels()->Get(kernelIndexOf(*own.Get(i)))->name()->str());
    const auto &tail = *generate().loops()->Get(loop)->nodes()->Get(0);
    std::vector<size_t> after;
    for (const schema::Edge *edge : *tail.edges())
      after.push_back(edge->from());
    EXPECT_EQ(body.back().after, after);
    EXPECT_EQ(body.back().kernel.arguments.back(), 2u);
  }
  EXPECT_EQ(nodes[1].body.back().kernel.kernel, "feed_12");
  EXPECT_EQ(nodes[1].body.back().kernel.arguments.rbegin()[1], 1u); // the loop over chunks
  EXPECT_EQ(nodes[2].body.back().kernel.kernel, "advance_12");
  executor.reset();
  EXPECT_EQ(fake().liveGraphs, 0);
  EXPECT_EQ(fake().liveExecs, 0);
  EXPECT_TRUE(fake().host.empty());
  EXPECT_TRUE(fake().device.empty());
}

TEST_F(CudaGenerate, TheRingIsTheHostsAndTheDevices) {
  auto executor = make(true);
  const uint64_t bytes = plan->program(0).memory()->mapped();
  ASSERT_GT(bytes, 0u);
  EXPECT_EQ(executor->stats().mapped, bytes);
  EXPECT_THAT(fake().hostFlags, testing::Contains(3u)); // portable and mapped
  EXPECT_THAT(fake().allocations, testing::Not(testing::Contains(bytes)));
  const uint32_t ring = *Plan::output(generate(), "ring");
  executor->run(entry);
  EXPECT_EQ(fake().graphs[0][0].kernel.arguments[5], reinterpret_cast<uint64_t>(executor->mapped(ring)));
  EXPECT_EQ(std::count(executor->mapped(ring), executor->mapped(ring) + bytes, std::byte{0}),
            static_cast<int64_t>(bytes));
}

TEST_F(CudaGenerate, TheHostAsksWithoutWaiting) {
  auto executor = make(true);
  executor->run(entry);
  const int waits = fake().synchronizations;
  fake().queryResult = 600; // not ready
  EXPECT_FALSE(executor->finished());
  fake().queryResult = 0;
  EXPECT_TRUE(executor->finished());
  fake().queryResult = 700;
  const Thrown thrown = thrownBy([&] { executor->finished(); });
  EXPECT_EQ(thrown.code, 8);
  EXPECT_THAT(thrown.message, HasSubstr("generate_4_2"));
  EXPECT_EQ(fake().synchronizations, waits);
}

// The stand-in for a kernel: two chunks, then three steps.
TEST_F(CudaGenerate, LaunchByLaunchTheHostReadsTheWords) {
  auto executor = make(false);
  EXPECT_FALSE(executor->prefersGeneration());
  fake().onLaunch = [](const FakeCuda::Launch &launch) {
    static int feeds = 0, steps = 0;
    if (launch.kernel == "feed_12") {
      auto *go = reinterpret_cast<uint32_t *>(launch.arguments[4]);
      EXPECT_EQ(launch.arguments.back(), 0u); // no graph, no handle
      go[0] = ++feeds < 3;
      go[1] = 1;
    } else if (launch.kernel == "advance_12") {
      reinterpret_cast<uint32_t *>(launch.arguments[3])[1] = ++steps < 3;
    }
  };
  executor->run(entry);
  const auto count = [&](const std::string &kernel) {
    return std::count_if(fake().launches.begin(), fake().launches.end(),
                         [&](const FakeCuda::Launch &launch) { return launch.kernel == kernel; });
  };
  EXPECT_EQ(count("feed_12"), 3);
  EXPECT_EQ(count("advance_12"), 3);
  EXPECT_EQ(fake().launches.size(), 1 + 2 * (repeated(0).nodes()->size() + 1) + 3 * (repeated(1).nodes()->size() + 1));
  EXPECT_TRUE(fake().graphs.empty());
}

// Before 13.0 the driver has entries as graphs, but no loops.
TEST_F(CudaGenerate, AnOldDriverIsRefusedByThePlan) {
  fake().driverVersion = 12080;
  EXPECT_EQ(thrownBy([&] { make(true); }).code, 5);
}

} // namespace
