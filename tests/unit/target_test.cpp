// The table of targets: what it says of features is what the compiler takes.
#include "codegen/Nvrtc.h"
#include "kernels_templates/base/target.h"
#include "runtime/base/error.h"

#include <gtest/gtest.h>

namespace {

using namespace kernels;

TEST(Targets, OthersAreServedByANeighbourOrRefused) {
  for (const Target &target : targets)
    EXPECT_EQ(targetFault(target.name), "");
  EXPECT_EQ(targetFault("cpu"), "");
  EXPECT_EQ(targetFault("sm_90"), "target 'sm_90' is served by sm_90a: use --target sm_90a");
  EXPECT_EQ(targetFault("sm_100f"), "target 'sm_100f' is served by sm_100a: use --target sm_100a");
  EXPECT_EQ(targetFault("sm_121"), "target 'sm_121' is served by sm_121a: use --target sm_121a");
  EXPECT_EQ(targetFault("sm_101a"), "target 'sm_101a' is served by sm_110a: use --target sm_110a");
  EXPECT_EQ(
      targetFault("compute_90"),
      "target 'compute_90': PTX is for compute_80, which every later device's driver takes: use --target compute_80");
  for (const char *unknown : {"sm_75", "sm_9", "sm_90aa", "sm_x", "sm_1000", "hopper", ""})
    EXPECT_EQ(targetFault(unknown), "target '" + std::string(unknown) +
                                        "' is not one of cpu, sm_80, sm_86, sm_87, sm_89, sm_90a, sm_100a, sm_103a, "
                                        "sm_110a, sm_120a, sm_121a, compute_80");
}

TEST(Targets, SayWhichFeaturesTheyLack) {
  const Features needed = Feature::Wgmma | Feature::Tma | Feature::Clusters;
  EXPECT_EQ(featureFault("sm_90a", needed), "");
  EXPECT_EQ(featureFault("cpu", needed), ""); // references run anything
  EXPECT_EQ(featureFault("sm_120a", needed), "needs wgmma, which sm_120a lacks");
  EXPECT_EQ(featureFault("sm_80", needed), "needs wgmma, TMA and clusters, which sm_80 lacks");
}

TEST(Targets, SharedMemoryEndsSomewhere) {
  EXPECT_EQ(sharedFault("sm_90a", 227 << 10), "");
  EXPECT_EQ(sharedFault("sm_120a", 99 << 10), "");
  EXPECT_EQ(sharedFault("sm_120a", (99 << 10) + 1),
            "needs 101377 bytes of shared memory; a block on sm_120a has 101376: choose smaller tiles or fewer stages "
            "with --template");
  EXPECT_EQ(sharedFault("cpu", 1 << 30), "");
  // PTX runs on all of them.
  EXPECT_EQ(findTarget("compute_80")->blockShared, leastBlockShared());
  EXPECT_TRUE(findTarget("compute_80")->features.empty());
}

TEST(Targets, DevicesOutOfTheTableHaveWhatAllLaterOnesHad) {
  EXPECT_EQ(featuresOf(9, 0), findTarget("sm_90a")->features);
  EXPECT_EQ(featuresOf(10, 1), findTarget("sm_110a")->features);
  EXPECT_FALSE(featuresOf(13, 0).has(Feature::Wgmma));
  EXPECT_TRUE(featuresOf(13, 0).has(Feature::Tma | Feature::Clusters | Feature::Programmatic));
  EXPECT_TRUE(featuresOf(7, 5).empty());
}

/// A kernel that an assembler takes if, and only if, its target has the feature.
struct Probe {
  Feature feature;
  const char *body;
};
constexpr Probe probes[] = {
    {Feature::Programmatic, R"(asm volatile("griddepcontrol.wait;" ::: "memory");)"},
    {Feature::Clusters, R"(asm volatile("barrier.cluster.arrive.aligned;" ::: "memory");)"},
    {Feature::Tma,
     R"(asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%0, %0}], [%2];"
                     :: "r"(a), "l"(p), "r"(b) : "memory");)"},
    {Feature::Wgmma, R"(asm volatile("wgmma.fence.sync.aligned;" ::: "memory");)"},
    {Feature::Tcgen05,
     R"(asm volatile("tcgen05.alloc.cta_group::1.sync.aligned.shared::cta.b32 [%0], 32;" :: "r"(a) : "memory");)"},
    {Feature::Fp8, R"(unsigned short x;
                      asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %1;" : "=h"(x) : "f"(*p));
                      *p = x;)"},
    {Feature::BlockScaledMma,
     R"(float c[4] = {};
        asm volatile("mma.sync.aligned.m16n8k64.row.col.kind::mxf4nvf4.block_scale.scale_vec::4X.f32.e2m1.e2m1.f32.ue4m3 "
                     "{%0, %1, %2, %3}, {%4, %4, %4, %4}, {%4, %4}, {%0, %1, %2, %3}, {%4}, {0, 0}, {%4}, {0, 0};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a));
        *p = c[0];)"},
};

TEST(Targets, HaveTheFeaturesThatTheCompilerTakes) {
  std::string reason;
  const auto nvrtc = codegen::Nvrtc::open(reason);
  if (!nvrtc)
    GTEST_SKIP() << reason;
  if (nvrtc->version() < "13.0")
    GTEST_SKIP() << "NVRTC " << nvrtc->version() << " does not know all targets";
  for (const Target &target : targets)
    for (const Probe &probe : probes) {
      if (target.isPtx()) // an assembler sees it when a driver loads it
        continue;
      const std::string source =
          "extern \"C\" __global__ void __launch_bounds__(128) k(float *p, unsigned a, unsigned b) {\n" +
          std::string(probe.body) + "\n}\n";
      std::string failure; // ptxas takes sm_120a's tensor copies, with a stack frame, which Nvrtc::compile refuses
      try {
        nvrtc->compile("k", source, std::string(target.name));
      } catch (const nanort::Error &error) {
        failure = error.what();
      }
      EXPECT_EQ(failure.find("does not compile") == std::string::npos, target.has(probe.feature))
          << missing({}, probe.feature) << " on " << target.name << ": " << failure;
    }
}

} // namespace
