// Every kernel on the device against its CPU reference, over the sweep of odd shapes; and matrix products by cuBLASLt
// against the product's reference.
#include "runtime/cuda/cublaslt.h"
#include "runtime/executor/host_math.h"
#include "tests/gpu/device_case.h"

#include <algorithm>
#include <cstdio>
#include <gtest/gtest.h>

using namespace nanotest;

namespace {

std::vector<const kernels::Kernel *> kernelsWithEngine() {
  std::vector<const kernels::Kernel *> some;
  for (const kernels::Kernel &kernel : kernels::catalogue().allKernels())
    if (kernel.engine)
      some.push_back(&kernel);
  return some;
}

/// Two runs: on outputs full of NaN patterns and on zeros. Both must give the same bits (nothing of an output is read
/// or left out, and sums have a fixed order), and those of the reference within the tolerance. What has counters is
/// launched twice in each: they must be as they were.
void check(const Case &c, const Launch &launch, kernels::HostMath &math, double &worst) {
  std::string why;
  const bool counts =
      std::ranges::any_of(c.kernel->args, [](const kernels::Arg &arg) { return arg.role == kernels::Role::Counters; });
  auto run = [&](const std::vector<nanort::cuda::DevicePtr> &buffers) {
    for (int times = counts ? 2 : 1; times > 0; --times)
      launch(buffers);
  };
  auto first = runOnDevice(c, run, 0xff, why);
  auto second = first ? runOnDevice(c, run, 0, why) : first;
  if (!second) {
    ADD_FAILURE() << c.label() << ": " << why;
    return;
  }
  EXPECT_EQ(*first, *second) << c.label() << ": the result depends on what the output held before, or on timing";
  Case expected = c;
  expected.runCpu(math);
  double ratio = 0;
  std::string difference = compareOutputs(expected, *first, ratio);
  EXPECT_TRUE(difference.empty()) << difference;
  worst = std::max(worst, ratio);
}

class Kernels : public testing::TestWithParam<const kernels::Kernel *> {};

void checkAll(std::vector<Case> cases, const std::string &what) {
  std::erase_if(cases, [](const Case &c) { return !isForTarget(c); });
  if (cases.empty())
    GTEST_SKIP() << what << " has nothing for " << testTarget();
  auto functions = loadKernels(cases);
  auto math = nanort::makeHostMath(0);
  double worst = 0;
  for (size_t i = 0; i < cases.size(); ++i)
    check(cases[i], kernelLaunch(cases[i], functions[i]), *math, worst);
  std::printf("%-32s %4zu cases, worst difference %.3f of the tolerance\n", what.c_str(), cases.size(), worst);
}

TEST_P(Kernels, EqualsItsReference) {
  std::vector<Case> cases = casesOf(*GetParam());
  ASSERT_FALSE(cases.empty()) << "no cases: tests/unit/kernel_cases.cpp";
  checkAll(cases, GetParam()->text());
}

INSTANTIATE_TEST_SUITE_P(All, Kernels, testing::ValuesIn(kernelsWithEngine()),
                         [](const testing::TestParamInfo<const kernels::Kernel *> &info) {
                           return info.param->meaning.name + "_" + std::string(info.param->engine->name);
                         });

/// Blocks of an SM apiece, and two, that draw their items at the same time.
TEST(AttentionChunk, DrawsHundredsOfItems) { checkAll(attentionManyCases(), "attention_chunk by wgmma, many items"); }

TEST(CublasLt, EqualsTheReference) {
  const nanort::cuda::Device &device = testDevice();
  nanort::cuda::CublasLt library(device);
  constexpr uint64_t workspaceBytes = 32 << 20;
  const nanort::cuda::Driver &driver = device.driver();
  nanort::cuda::DevicePtr workspace = 0;
  driver.check(driver.cuMemAlloc(&workspace, workspaceBytes), "cuMemAlloc", "workspace");
  auto math = nanort::makeHostMath(0);
  double worst = 0;
  std::vector<Case> cases = casesOf(*kernels::catalogue().kernel("product", ""));
  std::erase_if(cases, [](const Case &c) { return c.params["norm"] != 0; });
  // The shapes of a model, where the library splits K and uses tensor cores.
  for (int64_t type : {valueOf(kernels::DType::F32), valueOf(kernels::DType::BF16)})
    for (int32_t tokens : {1, 8, 128})
      cases.push_back(makeCase("product", {{"T", type}, {"O", type}, {"K", 768}, {"N", 3072}, {"norm", 0}},
                               {kernels::Scalar{.i = tokens}}));
  for (const Case &c : cases) {
    nanort::cuda::GemmShape shape{static_cast<uint64_t>(c.scalars[0].i), static_cast<uint64_t>(c.params["N"]),
                                  static_cast<uint64_t>(c.params["K"]), c.params.type("T"), c.params.type("O")};
    size_t plan = library.plan(shape, workspaceBytes);
    check(
        c,
        [&](const std::vector<nanort::cuda::DevicePtr> &buffers) {
          if (int status = library.run(plan, buffers[0], buffers[1], buffers[2], workspace))
            library.raise(status, "cublasLtMatmul", c.label());
        },
        *math, worst);
  }
  std::printf("cuBLASLt %s (%s): %zu cases, worst difference %.3f of the tolerance\n", library.version().c_str(),
              library.path().c_str(), cases.size(), worst);
  device.synchronize("products");
  driver.cuMemFree(workspace);
}

} // namespace
