#include "runtime/base/safetensors.h"
#include "runtime/executor/host_math.h"
#include "runtime/weights/constants.h"
#include "runtime/weights/values.h"
#include "tests/unit/tiny_plan.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

using namespace nanort;
using namespace nanort::test;

namespace {

TEST(RandomWeights, DoNotDependOnHowTheyAreCut) {
  const std::vector<uint64_t> shape = {40, 25};
  std::vector<float> whole(1000), piece(7);
  randomValues(3, "a", shape, 0, whole);
  for (uint64_t first : {0u, 1u, 6u, 250u, 993u}) {
    randomValues(3, "a", shape, first, piece);
    EXPECT_EQ(std::memcmp(piece.data(), &whole[first], sizeof(float) * piece.size()), 0) << first;
  }
  std::vector<float> other(1000);
  randomValues(3, "b", shape, 0, other);
  EXPECT_NE(whole, other);
  randomValues(4, "a", shape, 0, other);
  EXPECT_NE(whole, other);
}

TEST(RandomWeights, HaveTheStatedDistribution) {
  std::vector<float> matrix(100'000), vector(100'000);
  randomValues(1, "m", std::vector<uint64_t>{1000, 100}, 0, matrix);
  randomValues(1, "v", std::vector<uint64_t>{100'000}, 0, vector);
  double sum = 0, squares = 0;
  for (float x : matrix) {
    sum += x;
    squares += double(x) * x;
    ASSERT_NE(x, 0.0f);
    ASSERT_LE(std::abs(x), 0.1 * std::sqrt(3.0) + 1e-6);
  }
  // Standard errors: 0.1 / sqrt(n) = 3e-4 of the mean, about 0.1 / sqrt(5n/4) * 0.6 of the deviation; five of them.
  EXPECT_NEAR(sum / 1e5, 0, 1.6e-3);
  EXPECT_NEAR(std::sqrt(squares / 1e5), 0.1, 1e-3);
  for (float x : vector)
    ASSERT_TRUE(x >= 0.25f && x <= 0.75f) << x;
}

TEST(RopeTable, FollowsUpstreamsRounding) {
  std::vector<float> row(64);
  ropeRow(10000, 0, row);
  for (size_t i = 0; i < 64; ++i)
    EXPECT_EQ(row[i], i < 32 ? 1.0f : 0.0f);
  // Upstream's goldens show this entry: rounding the inverse frequency just once would give the neighbouring bf16.
  ropeRow(10000, 104, row);
  const float once = static_cast<float>(std::pow(10000.0, -18.0 / 64));
  const float twice = 1.0f / static_cast<float>(std::pow(10000.0, 18.0 / 64));
  const float right = static_cast<float>(std::cos(static_cast<double>(104 * twice)));
  EXPECT_EQ(row[9], right);
  EXPECT_NE(::kernels::roundToBf16(right).bits,
            ::kernels::roundToBf16(static_cast<float>(std::cos(static_cast<double>(104 * once)))).bits);
}

/// The tiny plan's parameters as a file that a test may spoil.
struct File {
  std::vector<SafetensorsWriter::Declaration> tensors;

  explicit File(const Json &plan, const std::string &dtype = "F32") {
    for (const Json &parameter : plan["parameters"])
      tensors.push_back({parameter["name"], dtype, parameter["shape"].get<std::vector<uint64_t>>()});
  }
  void write(const std::filesystem::path &path) const {
    SafetensorsWriter writer(path, tensors);
    for (const auto &tensor : tensors) {
      uint64_t count = 1;
      for (uint64_t extent : tensor.shape)
        count *= extent;
      for (uint64_t i = 0; i < count; ++i) {
        const float value = 0.5f + static_cast<float>(i); // 0.5 ... exact in bf16 below 128
        const uint16_t half = ::kernels::roundToBf16(value).bits;
        writer.write(tensor.dtype == "F32" ? std::as_bytes(std::span(&value, 1)) : std::as_bytes(std::span(&half, 1)));
      }
    }
    writer.commit();
  }
};

TEST(WeightsFile, CastsAndViews) {
  TempDir dir;
  const Json json = tinyPlan();
  const auto plan = openPlan(dir, json);
  auto math = makeHostMath(1);
  for (const char *dtype : {"F32", "BF16"}) {
    File(json, dtype).write(dir / "model.safetensors");
    const Weights weights = Weights::fromFile(plan, dir / "model.safetensors");
    for (const schema::Constant *constant : *plan->program(0).constants()) {
      const schema::Buffer &buffer = *plan->program(0).buffers()->Get(constant->parts()->Get(0)->buffer());
      std::vector<float> values(buffer.bytes() / 4);
      ConstantMaker maker(weights, plan->program(0), *constant);
      maker.write(0, Layout::Logical, 0, values.size(), reinterpret_cast<std::byte *>(values.data()), *math);
      for (size_t first = 0; first < values.size(); first += 3) { // any range is the same elements
        float some[3] = {};
        const size_t count = std::min<size_t>(3, values.size() - first);
        maker.write(0, Layout::Logical, first, count, reinterpret_cast<std::byte *>(some), *math);
        ASSERT_EQ(std::memcmp(some, &values[first], count * 4), 0) << buffer.name()->str() << " at " << first;
      }
      const std::byte *view = maker.view(0);
      if (constant->sources()->size() == 0) { // the rotary table
        EXPECT_EQ(view, nullptr);
        EXPECT_EQ(values[0], 1.0f);
        continue;
      }
      for (size_t i = 0; i < values.size(); ++i)
        ASSERT_EQ(values[i], 0.5f + static_cast<float>(i)) << buffer.name()->str();
      EXPECT_EQ(view != nullptr, std::string(dtype) == "F32");
      if (view) {
        EXPECT_EQ(std::memcmp(view, values.data(), buffer.bytes()), 0);
      }
    }
  }
}

TEST(WeightsFile, CutWhileInUseIsAnError) {
  TempDir dir;
  const Json json = tinyPlan();
  const auto plan = openPlan(dir, json);
  auto math = makeHostMath(1);
  File(json, "BF16").write(dir / "model.safetensors");
  const Weights weights = Weights::fromFile(plan, dir / "model.safetensors");
  const auto size = std::filesystem::file_size(dir / "model.safetensors");
  std::filesystem::resize_file(dir / "model.safetensors", 16);
  try {
    for (const schema::Constant *constant : *plan->program(0).constants()) {
      ConstantMaker maker(weights, plan->program(0), *constant);
      std::vector<std::byte> values(maker.bytes(0, Layout::Logical));
      maker.write(0, Layout::Logical, 0, values.size() / 4, values.data(), *math);
    }
    FAIL() << "read " << size << " bytes of 16";
  } catch (const Error &error) {
    EXPECT_EQ(error.code, Exit::Input);
    EXPECT_NE(std::string(error.what()).find("was cut while in use"), std::string::npos) << error.what();
  }
}

TEST(WeightsFile, MustBelongToThePlan) {
  TempDir dir;
  const Json json = tinyPlan();
  const auto plan = openPlan(dir, json);
  struct Case {
    int code;
    const char *message;
    std::function<void(File &)> breaks;
  } cases[] = {
      {3, "'gate'", [](File &f) { f.tensors.erase(f.tensors.begin()); }},
      {3, "needs [3]",
       [](File &f) {
         f.tensors[0].shape = {1, 3};
       }},
      {3, "'extra'",
       [](File &f) {
         f.tensors.push_back({"extra", "F32", {1}});
       }},
      {4, "F16", [](File &f) { f.tensors[0].dtype = "F16"; }},
      {3, "I16", [](File &f) { f.tensors[0].dtype = "I16"; }},
  };
  for (const Case &c : cases) {
    File file(json);
    c.breaks(file);
    file.write(dir / "bad.safetensors");
    const Thrown thrown = thrownBy([&] { Weights::fromFile(plan, dir / "bad.safetensors"); });
    EXPECT_EQ(thrown.code, c.code) << thrown.message;
    EXPECT_NE(thrown.message.find(c.message), std::string::npos) << thrown.message;
    EXPECT_NE(thrown.message.find("bad.safetensors"), std::string::npos) << thrown.message;
  }
  File file(json);
  file.tensors.push_back({"extra", "F32", {1}});
  file.write(dir / "extra.safetensors");
  EXPECT_NO_THROW(Weights::fromFile(plan, dir / "extra.safetensors", true));
}

TEST(WeightsFile, SavedRandomWeightsAreTheSame) {
  TempDir dir;
  const auto plan = openPlan(dir, tinyPlan());
  auto math = makeHostMath(2);
  const Weights random = Weights::random(plan, 5);
  random.save(dir / "saved.safetensors", *math);
  const Weights saved = Weights::fromFile(plan, dir / "saved.safetensors");
  for (const schema::Constant *constant : *plan->program(0).constants()) {
    ConstantMaker made(random, plan->program(0), *constant), read(saved, plan->program(0), *constant);
    const uint64_t bytes = made.bytes(0, Layout::Logical);
    std::vector<std::byte> a(bytes), b(bytes);
    made.write(0, Layout::Logical, 0, bytes / 4, a.data(), *math);
    read.write(0, Layout::Logical, 0, bytes / 4, b.data(), *math);
    EXPECT_EQ(a, b);
    EXPECT_EQ(made.view(0), nullptr);
  }
}

} // namespace
