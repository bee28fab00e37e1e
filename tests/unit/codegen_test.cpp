// Sources of every kernel, and what NVRTC makes of them.
#include "codegen/Choices.h"
#include "codegen/Instantiate.h"
#include "codegen/MachineCode.h"
#include "codegen/Nvrtc.h"
#include "codegen/Templates.h"
#include "runtime/base/error.h"
#include "tests/unit/kernel_cases.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <regex>
#include <set>
#include <thread>

namespace {

using kernels::Kernel;
using kernels::Values;
using nanotest::Case;

constexpr int64_t bf16 = static_cast<int64_t>(kernels::DType::BF16), f32 = static_cast<int64_t>(kernels::DType::F32);

const Kernel &kernelOf(std::string_view meaning, std::string_view engine) {
  return *kernels::catalogue().kernel(meaning, engine);
}

std::vector<const Kernel *> kernelsWithEngines() {
  std::vector<const Kernel *> all;
  for (const Kernel &kernel : kernels::catalogue().allKernels())
    if (kernel.engine)
      all.push_back(&kernel);
  return all;
}

/// A few parameter sets of each kernel, spread over its sweep and without repeats.
std::vector<Values> selection(const Kernel &kernel) {
  std::vector<Values> all, some;
  std::set<std::string> names;
  for (const Case &c : nanotest::casesOf(kernel))
    if (names.insert(kernel.instanceName(c.params)).second)
      all.push_back(c.params);
  for (size_t i = 0; i < all.size(); i += std::max<size_t>(1, all.size() / 3))
    some.push_back(all[i]);
  return some;
}

TEST(Instantiate, NamesAreStableAndDistinct) {
  const Kernel &norm = kernelOf("rms_norm", "simt");
  EXPECT_EQ(norm.instanceName({{"T", bf16}, {"width", 256}}), "rms_norm_simt_bf16_256");
  EXPECT_NE(norm.instanceName({{"T", bf16}, {"width", 257}}), "rms_norm_simt_bf16_256");
  EXPECT_EQ(kernelOf("rms_norm", "").instanceName({{"T", bf16}, {"width", 256}}), "rms_norm_reference_bf16_256");
}

TEST(Instantiate, SourceIsSelfContained) {
  const std::string source = codegen::instantiate(kernelOf("rms_norm", "simt"), {{"T", bf16}, {"width", 256}}).text();
  EXPECT_NE(
      source.find("extern \"C\" __global__ void NANO_BOUNDS rms_norm_simt_bf16_256(const bf16 *x, bf16 *y, int n)"),
      std::string::npos);
  EXPECT_NE(source.find("#define NANO_BOUNDS __launch_bounds__(128)\n"), std::string::npos);
  for (const Kernel *kernel : kernelsWithEngines()) {
    const codegen::Source made = codegen::instantiate(*kernel, selection(*kernel).front());
    const std::string text = made.text();
    EXPECT_EQ(text.find("#include"), std::string::npos) << kernel->text();
    // Under programmatic dependent launch an activation is not read-only for a kernel's lifetime.
    EXPECT_EQ(text.find("__restrict__"), std::string::npos) << kernel->text();
    EXPECT_EQ(text.find("__ldg"), std::string::npos) << kernel->text();
    // The entry point waits, or the body.
    std::string waits = made.own;
    if (kernel->engine->waitsItself)
      for (const std::string &path : made.includes)
        if (path != "kernels_templates/device/launch.cuh")
          waits += codegen::templateText(path);
    EXPECT_NE(waits.find("Producers();"), std::string::npos) << kernel->text();
    EXPECT_EQ(made.own.find("waitForProducers") == std::string::npos, kernel->engine->waitsItself) << kernel->text();
  }
}

// A source is a key of the cache and a part of a plan: it says nothing of where it was made.
TEST(Instantiate, LinesAreOfTheRepositorysFiles) {
  const std::regex directive("#line ([0-9]+) \"([^\"]*)\"\n");
  for (const Kernel *kernel : kernelsWithEngines()) {
    const Values params = selection(*kernel).front();
    const codegen::Source source = codegen::instantiate(*kernel, params);
    const std::string text = source.text();
    std::vector<std::string> expected, found;
    for (const std::string &path : source.includes)
      expected.push_back("/" + path);
    expected.push_back("/" + kernel->instanceName(params));
    for (std::sregex_iterator line(text.begin(), text.end(), directive), end; line != end; ++line) {
      EXPECT_EQ((*line)[1], "1");
      found.push_back((*line)[2]);
    }
    EXPECT_EQ(found, expected) << kernel->text();
  }
  // Behind it lines are counted as in the file.
  const std::string path = "kernels_templates/rows/norm.cuh";
  const std::string_view file = codegen::templateText(path);
  const std::string text = codegen::included(path, file);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), std::count(file.begin(), file.end(), '\n') + 1);
  const size_t body = file.find("normRows");
  ASSERT_NE(body, std::string_view::npos);
  EXPECT_EQ(std::count(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(body), '\n') + 1,
            std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(text.find("normRows")), '\n'));
}

/// The files that one includes itself.
std::vector<std::string> includesOf(const std::string &path) {
  const std::string text(codegen::templateText(path));
  const std::regex include("(?:^|\n)#include \"([^\"]*)\"");
  std::vector<std::string> paths;
  for (std::sregex_iterator line(text.begin(), text.end(), include), end; line != end; ++line)
    paths.push_back((*line)[1]);
  return paths;
}

TEST(Templates, AClosureHasAFileOnceAndBehindWhatItIncludes) {
  for (const Kernel *kernel : kernelsWithEngines()) {
    const std::string header = "kernels_templates/" + std::string(kernel->engine->header);
    ASSERT_FALSE(codegen::templateText(header).empty()) << kernel->text() << ": " << header;
    const std::vector<std::string> closure = codegen::closureOf(header);
    EXPECT_EQ(closure.back(), header);
    std::set<std::string> before;
    for (const std::string &path : closure) {
      for (const std::string &needed : includesOf(path))
        EXPECT_TRUE(before.contains(needed)) << path << " of " << kernel->text() << " comes before " << needed;
      EXPECT_TRUE(before.insert(path).second) << path << " twice in " << kernel->text();
    }
    EXPECT_NE(codegen::templateText(header).find(kernel->engine->body), std::string_view::npos) << kernel->text();
  }
}

// So that an edit of a header leaves what does not include it as it was: in caches, plans, and a tuner's times.
TEST(Templates, ASourceHasWhatItsHeaderIncludesAndNoMore) {
  for (const Kernel *kernel : kernelsWithEngines()) {
    const codegen::Source source = codegen::instantiate(*kernel, selection(*kernel).front());
    EXPECT_EQ(source.includes, codegen::closureOf("kernels_templates/" + std::string(kernel->engine->header)));
    const bool has = std::count(source.includes.begin(), source.includes.end(), "kernels_templates/device/wgmma.cuh");
    EXPECT_EQ(has, kernel->engine->needs.has(kernels::Feature::Wgmma)) << kernel->text();
  }
  for (const char *path : {"kernels_templates/rows/norm.cuh", "kernels_templates/rows/pointwise.cuh"})
    for (const std::string &included : codegen::closureOf(path))
      EXPECT_TRUE(included == path || included.starts_with("kernels_templates/device/") ||
                  included.starts_with("kernels_templates/base/"))
          << path << " includes " << included;
}

// A plan keeps files without their include directives; its kernels' text, by which images are cached, is the build's.
TEST(Templates, APlansTextIsTheBuilds) {
  for (const std::string &path : codegen::closureOf("kernels_templates/product/wgmma.cuh")) {
    const std::string_view text = codegen::templateText(path);
    EXPECT_EQ(codegen::included(path, codegen::withoutIncludes(text)), codegen::included(path, text)) << path;
  }
}

TEST(DeviceModel, EveryTargetButTheCpuIsPredicted) {
  for (const char *target : {"sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_103a", "sm_120a"}) {
    const kernels::Target *device = kernels::findTarget(target);
    ASSERT_TRUE(device) << target;
    const auto most = [&](uint64_t bytes, uint64_t flops) {
      return std::string(kernels::rooflineOf(*device, {bytes, flops}, false, false).bound());
    };
    EXPECT_EQ(most(0, 0), "launch");
    EXPECT_EQ(most(1 << 30, 0), "memory");
    EXPECT_EQ(most(0, uint64_t{1} << 40), "compute");
    // Tensor cores and programmatic edges are never slower.
    const kernels::Cost work{0, uint64_t{1} << 40};
    EXPECT_LT(kernels::rooflineOf(*device, work, true, true).us(),
              kernels::rooflineOf(*device, work, false, false).us());
  }
  EXPECT_FALSE(kernels::findTarget("cpu"));
}

TEST(DeviceModel, ProductsOfBf16RunOnTensorCores) {
  for (const char *engine : {"stream", "mma"}) {
    const Kernel &product = kernelOf("product", engine);
    EXPECT_TRUE(product.tensorCores({{"T", bf16}, {"K", 128}})) << engine;
    EXPECT_FALSE(product.tensorCores({{"T", bf16}, {"K", 12}})) << engine;
    EXPECT_FALSE(product.tensorCores({{"T", f32}, {"K", 128}})) << engine;
  }
  EXPECT_FALSE(kernelOf("product", "").tensorCores({{"T", bf16}, {"K", 128}}));
  EXPECT_FALSE(kernelOf("rms_norm", "simt").tensorCores({{"T", bf16}}));
  auto library = [](int64_t type) {
    return codegen::predictLibraryUs(
        *kernels::findTarget("sm_90a"),
        {"product", {{"T", type}, {"O", type}, {"K", 4096}, {"N", 4096}, {"norm", 0}, {"n", 4096}}});
  };
  EXPECT_LT(library(bf16), library(f32) / 4); // bytes are half
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

class CompileKernel : public Compile, public testing::WithParamInterface<const Kernel *> {
protected:
  static bool runsOn(const Kernel &kernel, const char *target) {
    return kernels::findTarget(target)->has(kernel.engine->needs);
  }
};

TEST_P(CompileKernel, ForEveryArchitecture) {
  const Kernel &kernel = *GetParam();
  for (const Values &params : selection(kernel))
    for (const char *target : {"sm_80", "sm_90a", "sm_100a", "sm_120a"}) {
      if (!runsOn(kernel, target))
        continue;
      const std::string name = kernel.instanceName(params);
      // What it asks for at a launch, too: nothing else would tell before a user's device does.
      const std::vector<kernels::Scalar> ones(kernel.scalarCount(), kernels::Scalar{.i = 1});
      if (kernel.constraint(params).empty()) { // some cases go beyond what the compiler may ask for
        EXPECT_LE(kernel.shape(kernel.launch(params, ones)).sharedBytes, kernels::findTarget(target)->blockShared)
            << name;
      }
      const std::vector<char> cubin = nvrtc->compile(name, codegen::instantiate(kernel, params).text(), target);
      ASSERT_GT(cubin.size(), 4u);
      EXPECT_EQ(std::string(cubin.data() + 1, 3), "ELF") << name << " for " << target;
    }
}

TEST_F(Compile, WhatSpillsForMoreBlocksGetsTheRegisters) {
  struct Instance {
    const char *meaning, *engine;
    std::vector<int64_t> params; // in the kernel's order
    const char *target;
  };
  const Instance instances[] = {{"attention_chunk", "simt", {bf16, 2, 2, 80, 17}, "sm_120a"},
                                {"product_mix", "stream", {f32, f32, 512, 128, 0, 8}, "sm_100a"},
                                {"attention_step", "cluster", {bf16, bf16, 16, 8, 128, 513, 8}, "sm_120a"},
                                {"attention_step", "cluster", {bf16, bf16, 2, 2, 256, 17, 1}, "sm_100a"}};
  for (const Instance &instance : instances) {
    const Kernel &kernel = kernelOf(instance.meaning, instance.engine);
    Values params;
    ASSERT_EQ(kernel.params.size(), instance.params.size());
    for (size_t i = 0; i < instance.params.size(); ++i)
      params.set(kernel.params[i].name, instance.params[i]);
    const std::string name = kernel.instanceName(params);
    EXPECT_GT(nvrtc->compile(name, codegen::instantiate(kernel, params).text(), instance.target).size(), 4u) << name;
  }
}

TEST_P(CompileKernel, Timed) {
  const Kernel &kernel = *GetParam();
  const Values params = selection(kernel).back();
  const std::string name = kernel.instanceName(params),
                    source = codegen::instantiate(kernel, params, codegen::Timing::Stamps).text();
  EXPECT_NE(source.find("unsigned long long *stamps) {\n"), std::string::npos);
  EXPECT_NE(source.find("  stampBegin(stamps);\n"), std::string::npos);
  for (const char *target : {"sm_80", "sm_90a"})
    if (runsOn(kernel, target)) {
      EXPECT_GT(nvrtc->compile(name, source, target).size(), 4u);
    }
  EXPECT_EQ(codegen::instantiate(kernel, params).text().find("stamp"), std::string::npos);
}

TEST_P(CompileKernel, TwiceToTheSameBytes) {
  const Kernel &kernel = *GetParam();
  const Values params = selection(kernel).back();
  const std::string name = kernel.instanceName(params);
  std::vector<char> first, second;
  std::thread other([&] { first = nvrtc->compile(name, codegen::instantiate(kernel, params).text(), "sm_90a"); });
  second = nvrtc->compile(name, codegen::instantiate(kernel, params).text(), "sm_90a");
  other.join();
  EXPECT_EQ(first, second) << name;
}

INSTANTIATE_TEST_SUITE_P(All, CompileKernel, testing::ValuesIn(kernelsWithEngines()), [](const auto &info) {
  return info.param->meaning.name + "_" + std::string(info.param->engine->name);
});

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
