// What the upload of constants puts into device memory: every part in the layout that its recipe gives the device.
#include "runtime/executor/executor.h"
#include "tests/unit/constant_json.h"
#include "tests/unit/cuda_fake.h"
#include "tests/unit/cuda_plan.h"

#include <gtest/gtest.h>

using namespace nanort;
using namespace nanort::test;

namespace {

class CudaConstants : public testing::Test {
protected:
  void SetUp() override {
    fakeCuda(NANO_FAKE_CUDA) = {};
    setenv("NANORT_CUDA_DRIVER", NANO_FAKE_CUDA, 1);
  }
  void TearDown() override { unsetenv("NANORT_CUDA_DRIVER"); }

  void load(Json json) {
    addFakeImages(json["programs"][0]);
    plan = openPlan(dir, json);
    executor = makeCudaExecutor(plan, 0, Weights::random(plan, 7), {});
  }
  template <typename T> std::vector<T> read(const std::string &name) {
    const auto &buffers = *plan->program(0).buffers();
    for (uint32_t i = 0; i < buffers.size(); ++i)
      if (buffers[i]->name()->str() == name) {
        std::vector<T> values(buffers[i]->bytes() / sizeof(T));
        executor->read(i, values.data(), buffers[i]->bytes());
        return values;
      }
    throw std::out_of_range(name);
  }

  TempDir dir;
  std::shared_ptr<const Plan> plan;
  std::unique_ptr<Executor> executor;
};

const TinyOptions options{{4}, {1}, 0, "sm_90a"};

TEST_F(CudaConstants, AreInTheDevicesLayout) {
  load(tinyPlan(options));
  const std::vector<float> logical = read<float>("wq");
  load(withLayout(tinyPlan(options)));
  const std::vector<float> laidOut = read<float>("wq");
  ASSERT_EQ(logical.size(), 64u);
  ASSERT_EQ(laidOut.size(), 128u);
  for (size_t r = 0; r < 8; ++r)
    for (size_t c = 0; c < 16; ++c)
      EXPECT_EQ(laidOut[r * 16 + c], c < 8 ? logical[c * 8 + r] : 0) << r << ", " << c;
}

TEST_F(CudaConstants, HaveAllParts) {
  const Steps steps = {{"QuantizeStep", {{"tensor", 0}, {"format", "E4M3"}, {"axis", 1}, {"group", 0}}}};
  load(withConstant(tinyPlan(options), {5}, steps, {{"F8E4M3", {8, 8}, 1}, {"F32", {8, 1}, 2}}));
  const std::vector<float> logical = read<float>("wq"), scales = read<float>("part1");
  const std::vector<::kernels::e4m3> codes = read<::kernels::e4m3>("part0");
  for (size_t r = 0; r < 8; ++r) {
    float largest = 0;
    for (size_t c = 0; c < 8; ++c)
      largest = std::max(largest, std::abs(logical[r * 8 + c]));
    EXPECT_EQ(scales[r], largest / 448);
    for (size_t c = 0; c < 8; ++c)
      EXPECT_EQ(codes[r * 8 + c].bits, ::kernels::roundToE4m3(logical[r * 8 + c] / scales[r]).bits);
  }
}

} // namespace
