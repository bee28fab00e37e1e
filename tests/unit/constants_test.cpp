// What recipes make: each step against its definition, any range of it, and which recipes are refused.
#include "runtime/base/safetensors.h"
#include "runtime/executor/executor.h"
#include "runtime/executor/host_math.h"
#include "runtime/session/session.h"
#include "runtime/weights/constants.h"
#include "tests/unit/constant_json.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>

using namespace nanort;
using namespace nanort::test;
using ::kernels::bf16;
using ::kernels::e4m3;

namespace {

constexpr size_t gate = 0, lambda = 2, wk = 3, wq = 5, wv = 7; // parameters: [3], [1], [4, 8], [8, 8], [4, 8]

/// A weights file whose element i of parameter p is f(p, i).
class Recipes : public testing::Test {
protected:
  using Values = std::function<float(size_t parameter, size_t i)>;

  /// The last constant of the plan, on weights from a file.
  ConstantMaker &make(
      const std::vector<size_t> &sources, const Steps &steps, const std::vector<PartOf> &parts,
      const Values &values = [](size_t p, size_t i) { return static_cast<float>(100 * p + i); }) {
    const Json json = withConstant(tinyPlan(), sources, steps, parts);
    plan = openPlan(dir, json);
    std::vector<SafetensorsWriter::Declaration> tensors;
    for (const Json &parameter : json["parameters"])
      tensors.push_back({parameter["name"], "F32", parameter["shape"].get<std::vector<uint64_t>>()});
    const auto path = dir / (std::to_string(++files) + ".safetensors");
    SafetensorsWriter writer(path, tensors);
    for (size_t p = 0; p < tensors.size(); ++p) {
      uint64_t count = 1;
      for (uint64_t extent : tensors[p].shape)
        count *= extent;
      for (uint64_t i = 0; i < count; ++i) {
        const float value = values(p, i);
        writer.write(std::as_bytes(std::span(&value, 1)));
      }
    }
    writer.commit();
    weights = Weights::fromFile(plan, path);
    const auto &constants = *plan->program(0).constants();
    maker.emplace(*weights, plan->program(0), *constants[constants.size() - 1]);
    return *maker;
  }

  /// A part as a whole, which every range of it must agree with.
  template <typename T> std::vector<T> all(ConstantMaker &made, uint32_t part, Layout layout) {
    std::vector<T> whole(made.elements(part, layout));
    EXPECT_EQ(made.bytes(part, layout), whole.size() * sizeof(T));
    made.write(part, layout, 0, whole.size(), reinterpret_cast<std::byte *>(whole.data()), *math);
    for (size_t width : {1, 3, 5})
      for (size_t first = 0; first < whole.size(); first += width) {
        std::vector<T> some(std::min(width, whole.size() - first));
        made.write(part, layout, first, some.size(), reinterpret_cast<std::byte *>(some.data()), *math);
        EXPECT_EQ(std::memcmp(some.data(), &whole[first], some.size() * sizeof(T)), 0) << first;
      }
    return whole;
  }

  TempDir dir;
  int files = 0;
  std::shared_ptr<const Plan> plan;
  std::optional<Weights> weights;
  std::optional<ConstantMaker> maker;
  std::unique_ptr<::kernels::HostMath> math = makeHostMath(2);
};

TEST_F(Recipes, ConcatenateAlongEitherAxis) {
  for (uint64_t axis : {0, 1}) {
    const std::vector<uint64_t> shape = axis == 0 ? std::vector<uint64_t>{8, 8} : std::vector<uint64_t>{4, 16};
    ConstantMaker &made =
        make({wk, wv}, {{"ConcatenateStep", {{"tensors", {0, 1}}, {"axis", axis}}}}, {{"F32", shape, 2}});
    const auto values = all<float>(made, 0, Layout::Device);
    for (size_t r = 0; r < shape[0]; ++r)
      for (size_t c = 0; c < shape[1]; ++c) {
        const bool second = axis == 0 ? r >= 4 : c >= 8;
        const size_t index = axis == 0 ? r % 4 * 8 + c : r * 8 + c % 8;
        EXPECT_EQ(values[r * shape[1] + c], static_cast<float>(100 * (second ? wv : wk) + index)) << r << ", " << c;
      }
    EXPECT_EQ(made.view(0), nullptr);
  }
}

TEST_F(Recipes, SliceAlongEitherAxis) {
  for (uint64_t axis : {0, 1}) {
    ConstantMaker &made = make({wq}, {{"SliceStep", {{"tensor", 0}, {"axis", axis}, {"begin", 2}, {"end", 5}}}},
                               {{"F32", axis == 0 ? std::vector<uint64_t>{3, 8} : std::vector<uint64_t>{8, 3}, 1}});
    const auto values = all<float>(made, 0, Layout::Device);
    for (size_t i = 0; i < values.size(); ++i)
      EXPECT_EQ(values[i], static_cast<float>(100 * wq + (axis == 0 ? 16 + i : i / 3 * 8 + 2 + i % 3))) << i;
  }
}

TEST_F(Recipes, CastRoundsEachTime) {
  auto third = [](size_t, size_t i) { return static_cast<float>(i) / 3; };
  const Steps steps = {{"CastStep", {{"tensor", 0}, {"dtype", "BF16"}}},
                       {"CastStep", {{"tensor", 1}, {"dtype", "F32"}}}};
  ConstantMaker &made = make({wk}, steps, {{"BF16", {4, 8}, 1}, {"F32", {4, 8}, 2}, {"F32", {4, 8}, 0}}, third);
  const auto narrow = all<bf16>(made, 0, Layout::Device);
  const auto wide = all<float>(made, 1, Layout::Device), exact = all<float>(made, 2, Layout::Device);
  for (size_t i = 0; i < exact.size(); ++i) {
    EXPECT_EQ(exact[i], static_cast<float>(i) / 3);
    EXPECT_EQ(narrow[i].bits, ::kernels::roundToBf16(exact[i]).bits);
    EXPECT_EQ(wide[i], ::kernels::toFloat(narrow[i]));
  }
  // Only what the file holds as it is can be seen in place.
  EXPECT_EQ(made.view(0), nullptr);
  EXPECT_EQ(made.view(1), nullptr);
  EXPECT_NE(made.view(2), nullptr);
}

TEST_F(Recipes, ATableInBf16IsRoundedOnce) {
  const Steps steps = {{"RopeStep", {{"base", 100.0}, {"positions", 5}, {"head_dim", 4}}},
                       {"CastStep", {{"tensor", 0}, {"dtype", "BF16"}}}};
  ConstantMaker &made = make({}, steps, {{"F32", {5, 4}, 0}, {"BF16", {5, 4}, 1}});
  const auto exact = all<float>(made, 0, Layout::Device);
  const auto narrow = all<bf16>(made, 1, Layout::Device);
  for (size_t i = 0; i < exact.size(); ++i)
    EXPECT_EQ(narrow[i].bits, ::kernels::roundToBf16(exact[i]).bits);
  EXPECT_EQ(exact[4 + 1], std::cos(0.1f));
}

TEST_F(Recipes, PermuteIsADefinitionByIndices) {
  // [8, 8] in tiles of 4 x 2, one tile after the other: [2, 4, 4, 2] to [2, 4 (columns), 4 (rows), 2].
  const Steps steps = {{"PermuteStep", {{"tensor", 0}, {"view", {2, 4, 4, 2}}, {"order", {0, 2, 1, 3}}}}};
  ConstantMaker &made = make({wq}, steps, {{"F32", {2, 4, 4, 2}, 1}});
  const auto tiles = all<float>(made, 0, Layout::Device), logical = all<float>(made, 0, Layout::Logical);
  for (size_t r = 0; r < 8; ++r)
    for (size_t c = 0; c < 8; ++c) {
      EXPECT_EQ(logical[r * 8 + c], static_cast<float>(100 * wq + r * 8 + c));
      EXPECT_EQ(tiles[((r / 4 * 4 + c / 2) * 4 + r % 4) * 2 + c % 2], logical[r * 8 + c]) << r << ", " << c;
    }
}

TEST_F(Recipes, PermuteAndItsInverseGiveTheTensorBack) {
  const std::vector<std::vector<uint32_t>> orders = {{2, 0, 1}, {2, 1, 0}, {0, 2, 1}, {1, 0, 2}, {0, 1, 2}};
  const std::vector<uint64_t> view = {2, 8, 4};
  for (const std::vector<uint32_t> &order : orders) {
    std::vector<uint32_t> inverse(3);
    for (uint32_t i = 0; i < 3; ++i)
      inverse[order[i]] = i;
    const Steps steps = {{"PermuteStep", {{"tensor", 0}, {"view", view}, {"order", order}}},
                         {"PermuteStep", {{"tensor", 1}, {"order", inverse}}}};
    ConstantMaker &made =
        make({wq}, steps, {{"F32", {view[order[0]], view[order[1]], view[order[2]]}, 1}, {"F32", {2, 8, 4}, 2}});
    const auto packed = all<float>(made, 0, Layout::Device), back = all<float>(made, 1, Layout::Device);
    for (size_t i = 0; i < back.size(); ++i)
      EXPECT_EQ(back[i], static_cast<float>(100 * wq + i));
    EXPECT_EQ(packed != back, order != std::vector<uint32_t>({0, 1, 2}));
  }
}

TEST_F(Recipes, PadPutsZerosAround) {
  for (uint64_t axis : {0, 1}) {
    const uint64_t rows = axis == 0 ? 9 : 4, columns = axis == 1 ? 13 : 8;
    const Steps steps = {{"PadStep", {{"tensor", 0}, {"axis", axis}, {"before", 2}, {"after", 3}}}};
    ConstantMaker &made = make({wk}, steps, {{"F32", {rows, columns}, 1}});
    const auto padded = all<float>(made, 0, Layout::Device), logical = all<float>(made, 0, Layout::Logical);
    ASSERT_EQ(logical.size(), 32u);
    for (size_t r = 0; r < rows; ++r)
      for (size_t c = 0; c < columns; ++c) {
        const size_t y = axis == 0 ? r - 2 : r, x = axis == 1 ? c - 2 : c;
        const float expected = y < 4 && x < 8 ? logical[y * 8 + x] : 0;
        EXPECT_EQ(padded[r * columns + c], expected) << r << ", " << c;
      }
  }
}

TEST_F(Recipes, QuantizeGivesCodesAndOneScaleARow) {
  // Rows: plain values, zeros, one outlier, values so small that their scale would be 0.
  auto values = [](size_t, size_t i) -> float {
    const float column = static_cast<float>(i % 8);
    switch (i / 8) {
    case 0:
      return 0.1f * (column - 3);
    case 1:
      return 0;
    case 2:
      return i % 8 == 5 ? -1000.0f : column;
    default:
      return 0x1p-149f * column;
    }
  };
  const Steps steps = {{"QuantizeStep", {{"tensor", 0}, {"format", "E4M3"}, {"axis", 1}, {"group", 0}}}};
  ConstantMaker &made = make({wk}, steps, {{"F8E4M3", {4, 8}, 1}, {"F32", {4, 1}, 2}}, values);
  const auto codes = all<e4m3>(made, 0, Layout::Device);
  const auto scales = all<float>(made, 1, Layout::Device);
  EXPECT_EQ(scales[0], values(0, 7) / 448);
  EXPECT_EQ(scales[1], 1.0f);
  EXPECT_EQ(scales[2], 1000.0f / 448);
  EXPECT_EQ(scales[3], 1.0f);
  for (size_t i = 0; i < codes.size(); ++i) {
    EXPECT_EQ(codes[i].bits, ::kernels::roundToE4m3(values(0, i) / scales[i / 8]).bits) << i;
    // Half a step of three mantissa bits, or of the smallest code.
    const float back = ::kernels::toFloat(codes[i]) * scales[i / 8];
    EXPECT_LE(std::abs(back - values(0, i)), std::max(std::abs(values(0, i)) / 16, scales[i / 8] * 0x1p-10f)) << i;
  }
  EXPECT_EQ(codes[7].bits, 0x7e); // the largest of a row takes the largest code
  EXPECT_EQ(codes[2 * 8 + 5].bits, 0xfe);
  for (size_t i = 8; i < 16; ++i)
    EXPECT_EQ(codes[i].bits, 0);
}

TEST_F(Recipes, QuantizedValuesCanBeLaidOut) {
  const Steps steps = {{"CastStep", {{"tensor", 0}, {"dtype", "BF16"}}},
                       {"QuantizeStep", {{"tensor", 1}, {"format", "E4M3"}, {"axis", 1}, {"group", 8}}},
                       {"PermuteStep", {{"tensor", 2}, {"order", {1, 0}}}},
                       {"PadStep", {{"tensor", 4}, {"axis", 0}, {"before", 1}, {"after", 0}}}};
  ConstantMaker &made = make({wk}, steps, {{"F8E4M3", {9, 4}, 5}, {"F32", {4, 1}, 3}});
  const auto device = all<e4m3>(made, 0, Layout::Device), logical = all<e4m3>(made, 0, Layout::Logical);
  const auto scales = all<float>(made, 1, Layout::Logical);
  ASSERT_EQ(logical.size(), 32u);
  for (size_t r = 0; r < 9; ++r)
    for (size_t c = 0; c < 4; ++c)
      EXPECT_EQ(device[r * 4 + c].bits, r == 0 ? 0 : logical[c * 8 + r - 1].bits);
  for (size_t i = 0; i < 32; ++i) {
    const float value = ::kernels::toFloat(::kernels::roundToBf16(static_cast<float>(100 * wk + i)));
    EXPECT_EQ(logical[i].bits, ::kernels::roundToE4m3(value / scales[i / 8]).bits);
  }
}

TEST_F(Recipes, WhatIsNotFiniteHasNoScale) {
  for (float bad : {INFINITY, NAN}) {
    const Steps steps = {{"QuantizeStep", {{"tensor", 0}, {"format", "E4M3"}, {"axis", 1}, {"group", 0}}}};
    ConstantMaker &made = make({wk}, steps, {{"F8E4M3", {4, 8}, 1}, {"F32", {4, 1}, 2}},
                               [=](size_t, size_t i) { return i == 17 ? bad : 1.0f; });
    std::byte out[32];
    const Thrown thrown = thrownBy([&] { made.write(0, Layout::Device, 0, 32, out, *math); });
    EXPECT_EQ(thrown.code, 3);
    EXPECT_NE(thrown.message.find("row 2 of constant 'part0'"), std::string::npos) << thrown.message;
  }
}

/// A recipe that the plan's check refuses.
struct Refused {
  const char *name;
  int code;
  const char *message;
  std::vector<size_t> sources;
  Steps steps;
  std::vector<PartOf> parts;
};
void PrintTo(const Refused &refused, std::ostream *out) { *out << refused.name; }

Json cast(size_t tensor, const char *dtype) { return {{"tensor", tensor}, {"dtype", dtype}}; }
Json join(std::vector<size_t> tensors, size_t axis) { return {{"tensors", tensors}, {"axis", axis}}; }
Json slice(size_t axis, uint64_t begin, uint64_t end) {
  return {{"tensor", 0}, {"axis", axis}, {"begin", begin}, {"end", end}};
}
Json quantize(size_t tensor, size_t axis, uint64_t group, Json format = "E4M3") {
  return {{"tensor", tensor}, {"format", format}, {"axis", axis}, {"group", group}};
}
Json permute(size_t tensor, std::vector<uint32_t> order) { return {{"tensor", tensor}, {"order", order}}; }
Json pad(size_t axis, uint64_t before, uint64_t after) {
  return {{"tensor", 0}, {"axis", axis}, {"before", before}, {"after", after}};
}

const std::vector<PartOf> part = {{"F32", {4, 8}, 1}};
const Refused refused[] = {
    {"Later", 3, "step 0: tensor 1 is not one before it", {wk}, {{"CastStep", cast(1, "F32")}}, part},
    {"CastToIntegers", 3, "a cast is to f32 or bf16", {wk}, {{"CastStep", cast(0, "I32")}}, part},
    {"CastToCodes", 3, "a cast is to f32 or bf16", {wk}, {{"CastStep", cast(0, "F8E4M3")}}, part},
    {"CastOfCodes",
     3,
     "tensor 1 is neither f32 nor bf16",
     {wk},
     {{"QuantizeStep", quantize(0, 1, 0)}, {"CastStep", cast(1, "F32")}},
     part},
    {"JoinOfNothing", 3, "no tensors", {wk}, {{"ConcatenateStep", join({}, 0)}}, part},
    {"JoinAxis", 3, "axis 2 is none of a tensor of 2", {wk}, {{"ConcatenateStep", join({0}, 2)}}, part},
    {"JoinExtents",
     3,
     "tensor 1 does not continue tensor 0 along axis 1",
     {wk, wq},
     {{"ConcatenateStep", join({0, 1}, 1)}},
     part},
    {"JoinRanks", 3, "does not continue", {wk, gate}, {{"ConcatenateStep", join({0, 1}, 0)}}, part},
    {"JoinTypes",
     3,
     "does not continue",
     {wk},
     {{"CastStep", cast(0, "BF16")}, {"ConcatenateStep", join({0, 1}, 0)}},
     part},
    {"SliceEmpty", 3, "a slice from 2 to 2 is not of the extent 4", {wk}, {{"SliceStep", slice(0, 2, 2)}}, part},
    {"SliceBeyond", 3, "a slice from 2 to 9 is not of the extent 8", {wk}, {{"SliceStep", slice(1, 2, 9)}}, part},
    {"SliceAxis", 3, "axis 1 is none of a tensor of 1", {gate}, {{"SliceStep", slice(1, 0, 1)}}, part},
    {"Groups", 3, "groups of 3 do not divide the extent 8", {wk}, {{"QuantizeStep", quantize(0, 1, 3)}}, part},
    {"GroupsOfARow", 4, "with one scale a row", {wk}, {{"QuantizeStep", quantize(0, 1, 4)}}, part},
    {"ScaleOfAColumn", 4, "with one scale a row", {wk}, {{"QuantizeStep", quantize(0, 0, 0)}}, part},
    {"VectorQuantized", 4, "matrices alone", {gate}, {{"QuantizeStep", quantize(0, 0, 0)}}, part},
    {"QuantizeAxis", 3, "axis 2 is none", {wk}, {{"QuantizeStep", quantize(0, 2, 0)}}, part},
    {"Format", 4, "quantizes", {wk}, {{"QuantizeStep", quantize(0, 1, 0, 9)}}, part},
    {"OrderTwice", 3, "each of 2 axes once", {wk}, {{"PermuteStep", permute(0, {1, 1})}}, part},
    {"OrderShort", 3, "each of 2 axes once", {wk}, {{"PermuteStep", permute(0, {0})}}, part},
    {"View",
     3,
     "another number of elements",
     {wk},
     {{"PermuteStep", {{"tensor", 0}, {"view", {4, 4}}, {"order", {0, 1}}}}},
     part},
    {"ViewOfZero", 3, "is 0", {wk}, {{"PermuteStep", {{"tensor", 0}, {"view", {0, 4}}, {"order", {0, 1}}}}}, part},
    {"PadAxis", 3, "axis 2 is none", {wk}, {{"PadStep", pad(2, 0, 1)}}, part},
    {"PadWraps", 3, "pads beyond", {wk}, {{"PadStep", pad(0, 0, UINT64_MAX)}}, part},
    {"PadTooMuch", 3, "too large", {wk}, {{"PadStep", pad(0, 0, uint64_t(1) << 47)}}, part},
    {"ValueAfterLayout",
     3,
     "a value step on tensor 1, which a layout step made",
     {wk},
     {{"PermuteStep", permute(0, {0, 1})}, {"CastStep", cast(1, "F32")}},
     part},
    {"TableIsOdd", 3, "even", {}, {{"RopeStep", {{"base", 10.0}, {"positions", 4}, {"head_dim", 3}}}}, part},
    {"TableBase", 3, "base", {}, {{"RopeStep", {{"base", -1.0}, {"positions", 4}, {"head_dim", 8}}}}, part},
    {"TableOfNothing", 3, "is 0", {}, {{"RopeStep", {{"base", 10.0}, {"positions", 0}, {"head_dim", 8}}}}, part},
    {"PartsShape", 3, "another shape than tensor 1, [8, 4]", {wk}, {{"PermuteStep", permute(0, {1, 0})}}, part},
    {"PartsType", 3, "another dtype than tensor 1", {wk}, {{"CastStep", cast(0, "BF16")}}, part},
    {"PartMissing", 3, "tensor 9 does not exist", {wk}, {}, {{"F32", {4, 8}, 9}}},
    {"Endless", 3, "64 are the most", {lambda}, Steps(65, {"CastStep", cast(0, "F32")}), {{"F32", {1}, 1}}},
};

class RefusedRecipes : public testing::TestWithParam<Refused> {};

TEST_P(RefusedRecipes, SayWhy) {
  const Refused &r = GetParam();
  TempDir dir;
  const Thrown thrown = thrownBy([&] { openPlan(dir, withConstant(tinyPlan(), r.sources, r.steps, r.parts)); });
  EXPECT_EQ(thrown.code, r.code) << thrown.message;
  EXPECT_NE(thrown.message.find(r.message), std::string::npos) << thrown.message;
  EXPECT_NE(thrown.message.find("constant 9 ('part0')"), std::string::npos) << thrown.message;
}

INSTANTIATE_TEST_SUITE_P(, RefusedRecipes, testing::ValuesIn(refused),
                         [](const auto &info) { return std::string(info.param.name); });

TEST(LayoutSteps, AreTheDevicesAlone) {
  TempDir dir;
  auto logits = [&](const Json &json) {
    const auto plan = openPlan(dir, json);
    Session session(plan, 0, makeCpuExecutor(plan, 0, Weights::random(plan, 1), {1, 0, true}));
    std::vector<float> all;
    const std::vector<int32_t> text = {1, 5, 9, 2};
    session.score(text, true, [&](size_t, std::span<const float>, std::span<const float> part) {
      all.insert(all.end(), part.begin(), part.end());
    });
    return all;
  };
  EXPECT_EQ(logits(tinyPlan()), logits(withLayout(tinyPlan())));

  // A launch is held to the elements that references have, not to padding.
  Json more = withLayout(tinyPlan());
  for (Json &kernel : more["programs"][0]["kernels"])
    if (kernel["meaning"] == "product" && kernel["params"][2]["value"] == 8 && kernel["params"][3]["value"] == 8)
      kernel["params"][3]["value"] = 16; // rows of the matrix: 128 elements, which the padded buffer has
  const Thrown thrown = thrownBy([&] { openPlan(dir, more); });
  EXPECT_EQ(thrown.code, 3);
  EXPECT_NE(thrown.message.find("has 64 elements, the launch touches 128"), std::string::npos) << thrown.message;
}

} // namespace
