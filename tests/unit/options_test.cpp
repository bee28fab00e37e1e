// Times that nanort tune has measured, as the compiler finds them.
#include "compiler/options/Options.h"

#include <gtest/gtest.h>

namespace {

constexpr int64_t bf16 = static_cast<int64_t>(kernels::DType::BF16);

const codegen::Problem problem{"product", {{"T", bf16}, {"O", bf16}, {"K", 768}, {"N", 256}, {"norm", 0}, {"n", 64}}};
constexpr const char *text = "product T=bf16 O=bf16 K=768 N=256 norm=0 n=64";

nanocc::Options optionsOf(std::initializer_list<std::pair<std::string, double>> times) {
  nanocc::Options options;
  for (const auto &[choice, us] : times)
    options.tuning["sm_90a"][text + (" by " + choice)] = us;
  return options;
}

codegen::Choice mma(int64_t tileM, int64_t tileN) { return {"mma", {{"tile_m", tileM}, {"tile_n", tileN}}}; }

TEST(OptionsMeasured, ATimeIsOfItsProblemChoiceAndTarget) {
  const nanocc::Options options = optionsOf({{"mma tile_m=64 tile_n=32", 5}, {"stream M=8", 7}});
  EXPECT_EQ(options.measured("sm_90a", problem, mma(64, 32)), 5);
  EXPECT_EQ(options.measured("sm_90a", problem, {"stream", {{"M", 8}}}), 7);
  EXPECT_EQ(options.measured("sm_90a", problem, mma(64, 64)), std::nullopt);
  EXPECT_EQ(options.measured("sm_90a", problem, {"wgmma", {{"tile_m", 64}, {"tile_n", 32}}}), std::nullopt);
  EXPECT_EQ(options.measured("sm_80", problem, mma(64, 32)), std::nullopt);
  codegen::Problem other = problem;
  other.values.set("n", 640); // whose text begins alike
  EXPECT_EQ(options.measured("sm_90a", other, mma(64, 32)), std::nullopt);
}

// An engine that has got a parameter since keeps its times; one that has lost a parameter does not.
TEST(OptionsMeasured, AParameterThatTheFileDoesNotNameIsNew) {
  const nanocc::Options options = optionsOf({{"mma tile_m=64", 5}, {"stream M=8 lanes=2", 7}});
  EXPECT_EQ(options.measured("sm_90a", problem, mma(64, 32)), 5);
  EXPECT_EQ(options.measured("sm_90a", problem, mma(32, 32)), std::nullopt);
  EXPECT_EQ(options.measured("sm_90a", problem, {"stream", {{"M", 8}}}), std::nullopt);
}

TEST(OptionsMeasured, TheLibrarysShortestTimeHasItsAlgorithm) {
  const nanocc::Options options = optionsOf({{"cublaslt version=13.1.0 algorithm=0", 6},
                                             {"cublaslt version=13.1.0 algorithm=3", 5},
                                             {"cublaslt version=13.1.0 algorithm=99", 1}, // beyond what is asked for
                                             {"mma tile_m=64 tile_n=32", 2}});
  const auto library = options.measuredLibrary("sm_90a", problem);
  ASSERT_TRUE(library);
  EXPECT_EQ(library->us, 5);
  EXPECT_EQ(library->version, "13.1.0");
  EXPECT_EQ(library->algorithm, 3);
  EXPECT_FALSE(optionsOf({}).measuredLibrary("sm_90a", problem));
}

} // namespace
