// A program's machine code, packed and unpacked.
#include "runtime/plan/machine_code.h"
#include "tests/unit/cuda_plan.h"
#include "tests/unit/tiny_plan.h"

#include <gtest/gtest.h>

using namespace nanort;
using namespace nanort::test;

namespace {

TEST(PlanMachineCode, IsThatOfEachKernel) {
  TempDir dir;
  Json json = tinyPlan({{4}, {2}, 0, "sm_90a"});
  addFakeImages(json["programs"][0]);
  const auto plan = openPlan(dir, json);
  const MachineCode code(*plan, 0);
  for (const schema::Kernel *kernel : *plan->program(0).kernels()) {
    const std::span<const char> image = code.of(*kernel);
    ASSERT_FALSE(image.empty());
    EXPECT_EQ(std::string(image.data()).size() + 1, image.size());
    EXPECT_EQ(std::string(image.data()).substr(0, 5), "fake:");
  }
}

TEST(PlanMachineCode, IsEmptyOfAProgramWithout) {
  TempDir dir;
  const auto plan = openPlan(dir, tinyPlan({}));
  EXPECT_TRUE(MachineCode(*plan, 0).of(*plan->program(0).kernels()->Get(0)).empty());
}

// Kernels that repeat each other cost little, however far apart they lie.
TEST(PlanMachineCode, TakesOneOfManyEqualKernels) {
  std::vector<char> kernel(300'000);
  uint32_t state = 1;
  for (char &byte : kernel)
    byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  std::vector<char> code;
  for (int copy = 0; copy < 10; ++copy)
    code.insert(code.end(), kernel.begin(), kernel.end());
  const size_t one = packCode(kernel).size();
  EXPECT_LT(packCode(code).size(), one + one / 10);
}

TEST(PlanMachineCode, RefusesDamagedContents) {
  TempDir dir;
  Json json = tinyPlan({{4}, {2}, 0, "sm_90a"});
  addFakeImages(json["programs"][0]);
  // The frame's headers stay as they are; what they announce does not come.
  Json &frame = json["programs"][0]["code"];
  for (size_t i = 10; i < frame.size(); ++i)
    frame[i] = 0xff;
  const auto plan = openPlan(dir, json);
  const Thrown thrown = thrownBy([&] { MachineCode(*plan, 0); });
  EXPECT_EQ(thrown.code, static_cast<int>(Exit::Input));
  EXPECT_NE(thrown.message.find("machine code of program sm_90a is damaged"), std::string::npos) << thrown.message;
}

TEST(PlanMachineCode, OfPtxEndsWithAZero) {
  TempDir dir;
  Json json = tinyPlan({{4}, {2}, 0, "compute_80"});
  Json &program = json["programs"][0];
  addFakeImages(program);
  program["kernels"][0]["code"]["size"] = program["kernels"][0]["code"]["size"].get<int>() - 1;
  const auto plan = openPlan(dir, json);
  const Thrown thrown = thrownBy([&] { MachineCode(*plan, 0); });
  EXPECT_EQ(thrown.code, static_cast<int>(Exit::Input));
  EXPECT_NE(thrown.message.find("does not end with a zero"), std::string::npos) << thrown.message;
}

} // namespace
