// Sources of every family, and what NVRTC makes of them.
#include "codegen/Instantiate.h"
#include "codegen/MachineCode.h"
#include "codegen/Nvrtc.h"
#include "kernels_templates/base/predict.h"
#include "runtime/base/error.h"
#include "tests/unit/family_cases.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <thread>

namespace {

using nanotest::Case;

kernels::Params normParams(int64_t width) {
  return {{{"T", static_cast<int64_t>(kernels::DType::BF16)}, {"width", width}}};
}

TEST(Instantiate, NamesAreStableAndDistinct) {
  EXPECT_EQ(codegen::kernelName(*codegen::findFamily("rms_norm"), normParams(256)), "rms_norm_bf16_256");
  EXPECT_NE(codegen::kernelName(*codegen::findFamily("rms_norm"), normParams(257)), "rms_norm_bf16_256");
}

TEST(Instantiate, SourceIsSelfContained) {
  const std::string source = codegen::instantiate(*codegen::findFamily("rms_norm"), normParams(256));
  EXPECT_EQ(source.find("#include"), std::string::npos);
  EXPECT_NE(source.find("extern \"C\" __global__ void NANO_BOUNDS rms_norm_bf16_256(const bf16 *x, bf16 *y, int n)"),
            std::string::npos);
  EXPECT_NE(source.find("#define NANO_BOUNDS __launch_bounds__(128)\n"), std::string::npos);
  // Under programmatic dependent launch an activation is not read-only for a kernel's lifetime.
  for (const kernels::Family *family : codegen::allFamilies()) {
    const std::string text = codegen::instantiate(*family, nanotest::casesOf(family->name)[0].params);
    EXPECT_EQ(text.find("__restrict__"), std::string::npos) << family->name;
    EXPECT_EQ(text.find("__ldg"), std::string::npos) << family->name;
    EXPECT_NE(text.find("  waitForProducers();\n"), std::string::npos) << family->name;
  }
}

TEST(DeviceModel, EveryTargetButTheCpuIsPredicted) {
  for (const char *target : {"sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_103a", "sm_120a"}) {
    const auto device = kernels::findTarget(target);
    ASSERT_TRUE(device) << target;
    const auto most = [&](uint64_t bytes, uint64_t flops) {
      return std::string(codegen::predict(*device, {{bytes, flops}}).bound());
    };
    EXPECT_EQ(most(0, 0), "launch");
    EXPECT_EQ(most(1 << 30, 0), "memory");
    EXPECT_EQ(most(0, uint64_t{1} << 40), "compute");
    // Tensor cores and programmatic edges are never slower.
    const codegen::LaunchWork work{{0, uint64_t{1} << 40}}, better{{0, uint64_t{1} << 40}, true, true};
    EXPECT_LT(codegen::predict(*device, better).us(), codegen::predict(*device, work).us());
  }
  EXPECT_FALSE(kernels::findTarget("cpu"));
}

TEST(DeviceModel, ProductsOfBf16RunOnTensorCores) {
  const kernels::Family &linear = *codegen::findFamily("linear"), &norm = *codegen::findFamily("rms_norm");
  auto params = [](kernels::DType type) { return kernels::Params{{{"T", static_cast<int64_t>(type)}}}; };
  EXPECT_TRUE(codegen::usesTensorCores(linear, params(kernels::DType::BF16), true)); // by library
  EXPECT_FALSE(codegen::usesTensorCores(linear, params(kernels::DType::BF16), false));
  EXPECT_FALSE(codegen::usesTensorCores(linear, params(kernels::DType::F32), true));
  for (auto [K, fast] : {std::pair{128, true}, std::pair{12, false}}) {
    kernels::Params gemm = params(kernels::DType::BF16);
    gemm.values.emplace_back("K", K);
    EXPECT_EQ(codegen::usesTensorCores(*codegen::findFamily("gemm"), gemm, false), fast) << K;
  }
  EXPECT_FALSE(codegen::usesTensorCores(norm, params(kernels::DType::BF16), false));
}

class Compile : public testing::Test {
protected:
  void SetUp() override {
    std::string reason;
    nvrtc = codegen::Nvrtc::open(reason);
    if (!nvrtc)
      GTEST_SKIP() << reason;
  }

  std::string failure(const std::string &source) {
    try {
      nvrtc->compile("broken", source, "sm_90a");
    } catch (const nanort::Error &error) {
      EXPECT_EQ(error.code, nanort::Exit::Internal);
      return error.what();
    }
    return "";
  }

  std::unique_ptr<codegen::Nvrtc> nvrtc;
};

/// A few parameter sets of each family, spread over its sweep and without repeats.
std::vector<kernels::Params> selection(const kernels::Family &family) {
  std::vector<kernels::Params> all, some;
  std::set<std::string> names;
  for (const Case &c : nanotest::casesOf(family.name))
    if (names.insert(codegen::kernelName(family, c.params)).second)
      all.push_back(c.params);
  for (size_t i = 0; i < all.size(); i += std::max<size_t>(1, all.size() / 3))
    some.push_back(all[i]);
  return some;
}

class CompileFamily : public Compile, public testing::WithParamInterface<const kernels::Family *> {};

TEST_P(CompileFamily, ForEveryArchitecture) {
  const kernels::Family &family = *GetParam();
  for (const kernels::Params &params : selection(family))
    for (const char *target : {"sm_80", "sm_90a", "sm_100a", "sm_120a"}) {
      if (!family.target.empty() && family.target != target)
        continue;
      const std::string name = codegen::kernelName(family, params);
      // What it asks for at a launch, too: nothing else would tell before a user's device does.
      const size_t scalars = std::count_if(family.args.begin(), family.args.end(),
                                           [](const kernels::ArgDecl &arg) { return isScalar(arg.kind); });
      const std::vector<kernels::Scalar> ones(scalars, kernels::Scalar{.i = 1});
      if (family.constraint(params).empty()) { // some cases go beyond what the compiler may ask for
        EXPECT_LE(family.shape(params, ones).sharedBytes, kernels::findTarget(target)->blockShared) << name;
      }
      const std::vector<char> cubin = nvrtc->compile(name, codegen::instantiate(family, params), target);
      ASSERT_GT(cubin.size(), 4u);
      EXPECT_EQ(std::string(cubin.data() + 1, 3), "ELF") << name << " for " << target;
    }
}

TEST_F(Compile, WhatSpillsForMoreBlocksGetsTheRegisters) {
  const int64_t bf16 = static_cast<int64_t>(kernels::DType::BF16), f32 = static_cast<int64_t>(kernels::DType::F32);
  struct Instance {
    const char *family;
    std::vector<int64_t> params; // in the family's order
    const char *target;
  };
  const Instance instances[] = {{"attention", {bf16, 2, 2, 80, 17}, "sm_120a"},
                                {"gemv_mix", {f32, 512, 128, 8}, "sm_100a"},
                                {"attention_decode", {bf16, bf16, 16, 8, 128, 513, 8}, "sm_120a"},
                                {"attention_decode", {bf16, bf16, 2, 2, 256, 17, 1}, "sm_100a"}};
  for (const Instance &instance : instances) {
    const kernels::Family &family = *codegen::findFamily(instance.family);
    kernels::Params params;
    ASSERT_EQ(family.params.size(), instance.params.size());
    for (size_t i = 0; i < instance.params.size(); ++i)
      params.values.emplace_back(family.params[i].name, instance.params[i]);
    const std::string name = codegen::kernelName(family, params);
    EXPECT_GT(nvrtc->compile(name, codegen::instantiate(family, params), instance.target).size(), 4u) << name;
  }
}

TEST_P(CompileFamily, Timed) {
  const kernels::Family &family = *GetParam();
  const kernels::Params params = selection(family).back();
  const std::string name = codegen::kernelName(family, params),
                    source = codegen::instantiate(family, params, codegen::Timing::Stamps);
  EXPECT_NE(source.find("unsigned long long *stamps) {\n  stampBegin(stamps);\n"), std::string::npos);
  for (const char *target : {"sm_80", "sm_90a"})
    if (family.target.empty() || family.target == target) {
      EXPECT_GT(nvrtc->compile(name, source, target).size(), 4u);
    }
  EXPECT_EQ(codegen::instantiate(family, params).find("stamp"), std::string::npos);
}

TEST_P(CompileFamily, TwiceToTheSameBytes) {
  const kernels::Family &family = *GetParam();
  const kernels::Params params = selection(family).back();
  const std::string name = codegen::kernelName(family, params);
  std::vector<char> first, second;
  std::thread other([&] { first = nvrtc->compile(name, codegen::instantiate(family, params), "sm_90a"); });
  second = nvrtc->compile(name, codegen::instantiate(family, params), "sm_90a");
  other.join();
  EXPECT_EQ(first, second) << name;
}

INSTANTIATE_TEST_SUITE_P(All, CompileFamily,
                         testing::ValuesIn(codegen::allFamilies().begin(), codegen::allFamilies().end()),
                         [](const auto &info) { return std::string(info.param->name); });

TEST_F(Compile, ABrokenSourceReportsTheLog) {
  const std::string message = failure("extern \"C\" __global__ void broken(float *y) { *y = missing; }");
  EXPECT_NE(message.find("kernel broken does not compile for sm_90a"), std::string::npos) << message;
  EXPECT_NE(message.find("identifier \"missing\" is undefined"), std::string::npos) << message;
}

TEST_F(Compile, AVirtualArchitectureGivesPtx) {
  // With the code that the architecture has of two.
  const std::string source = "extern \"C\" __global__ void k(float *y) {\n"
                             "#if __CUDA_ARCH__ >= 900\n"
                             "  asm volatile(\"griddepcontrol.wait;\" ::: \"memory\");\n"
                             "#endif\n"
                             "  *y = 2;\n"
                             "}\n";
  for (auto [target, waits] : {std::pair{"compute_80", false}, {"compute_90", true}}) {
    const std::vector<char> image = nvrtc->compile("k", source, target);
    ASSERT_FALSE(image.empty());
    EXPECT_EQ(image.back(), '\0'); // where a driver finds its end
    const std::string text(image.data());
    EXPECT_NE(text.find(".target sm_" + std::string(target).substr(8)), std::string::npos) << text;
    EXPECT_EQ(text.find("griddepcontrol.wait") != std::string::npos, waits) << text;
  }
}

TEST_F(Compile, AStackFrameIsAnError) {
  // An array indexed at run time cannot stay in registers.
  const std::string message = failure("extern \"C\" __global__ void broken(float *y, const int *at) {\n"
                                      "  float x[64];\n"
                                      "  for (int i = 0; i < 64; ++i) x[i] = y[i] * i;\n"
                                      "  for (int i = 0; i < 64; ++i) x[at[i]] += x[at[i + 1]];\n"
                                      "  for (int i = 0; i < 64; ++i) y[i] = x[at[i]];\n"
                                      "}\n");
  EXPECT_NE(message.find("bytes stack frame"), std::string::npos) << message;
}

TEST_F(Compile, SerializedProductsAreAnError) {
  // Sums that are read while their products may be under way.
  const std::string message = failure(
      "extern \"C\" __global__ void broken(float *y, unsigned long long a, unsigned long long b) {\n"
      "  float d[4] = {};\n"
      "  asm volatile(\"wgmma.fence.sync.aligned;\" ::: \"memory\");\n"
      "  for (int i = 0; i < 2; ++i) {\n"
      "    asm volatile(\"wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {%0, %1, %2, %3}, %4, %5, 1, 1, 1, 0, "
      "0;\"\n"
      "                 : \"+f\"(d[0]), \"+f\"(d[1]), \"+f\"(d[2]), \"+f\"(d[3]) : \"l\"(a), \"l\"(b));\n"
      "    d[0] += 1;\n"
      "  }\n"
      "  asm volatile(\"wgmma.commit_group.sync.aligned;\\n  wgmma.wait_group.sync.aligned 0;\" ::: \"memory\");\n"
      "  y[threadIdx.x] = d[0] + d[1] + d[2] + d[3];\n"
      "}\n");
  EXPECT_NE(message.find("ptxas warning C75"), std::string::npos) << message;
}

TEST_F(Compile, IgnoredRegisterCountsAreAnError) {
  // Without a bound on blocks ptxas does not know how many registers a thread begins with.
  const std::string message = failure("extern \"C\" __global__ void __launch_bounds__(384) broken(float *y) {\n"
                                      "  if (threadIdx.x < 128)\n"
                                      "    asm volatile(\"setmaxnreg.dec.sync.aligned.u32 40;\");\n"
                                      "  else\n"
                                      "    asm volatile(\"setmaxnreg.inc.sync.aligned.u32 232;\");\n"
                                      "  y[threadIdx.x] *= 2;\n"
                                      "}\n");
  EXPECT_NE(message.find("ptxas warning C7508"), std::string::npos) << message;
}

TEST_F(Compile, RegistersAreReadFromMachineCode) {
  // As many values as are alive at a time, and one register each at least.
  const std::string source = "extern \"C\" __global__ void k(float *y) {\n"
                             "  float v[100];\n"
                             "#pragma unroll\n"
                             "  for (int i = 0; i < 100; ++i) v[i] = y[i];\n"
                             "  __syncthreads();\n"
                             "#pragma unroll\n"
                             "  for (int i = 0; i < 100; ++i) y[99 - i] = v[i];\n"
                             "}\n";
  for (const char *target : {"sm_80", "sm_90a", "sm_120a"}) {
    const std::vector<char> cubin = nvrtc->compile("k", source, target);
    const auto registers = codegen::registersOf(cubin);
    ASSERT_TRUE(registers) << target;
    EXPECT_GE(*registers, 100u) << target;
    EXPECT_LE(*registers, 255u) << target;
    // Whatever is missing of it, nothing is read beyond its end.
    for (size_t size = 0; size < cubin.size(); size += 7)
      codegen::registersOf(std::vector<char>(cubin.begin(), cubin.begin() + static_cast<std::ptrdiff_t>(size)));
  }
  EXPECT_FALSE(codegen::registersOf({}));
  EXPECT_FALSE(codegen::registersOf(std::vector<char>(4096, 'x')));
}

TEST_F(Compile, AnUnknownTargetIsAnError) {
  EXPECT_THROW(nvrtc->compile("k", "extern \"C\" __global__ void k() {}", "sm_7"), nanort::Error);
}

TEST(Nvrtc, ANamedFileThatIsMissingIsNotReplaced) {
  setenv("NANORT_NVRTC", "/nonexistent/libnvrtc.so", 1);
  std::string reason;
  EXPECT_EQ(codegen::Nvrtc::open(reason), nullptr);
  EXPECT_NE(reason.find("$NANORT_NVRTC: /nonexistent/libnvrtc.so"), std::string::npos) << reason;
  unsetenv("NANORT_NVRTC");
}

} // namespace
