// Every CPU reference against its formula in double, over the sweep of odd shapes.
#include "kernels_templates/base/reference.h"
#include "kernels_templates/sample/philox.h"
#include "runtime/executor/host_math.h"
#include "tests/unit/kernel_cases.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <map>

namespace {

using nanotest::Case;
using nanotest::valueOf;
using Formula = std::function<double(const Case &, size_t)>; // element i of the outputs, one behind another

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

double dot(const Case &c, size_t a, size_t i, size_t b, size_t j, size_t n) {
  double sum = 0;
  for (size_t l = 0; l < n; ++l)
    sum += c.get(a, i + l) * c.get(b, j + l);
  return sum;
}

/// Element i of x w^T, buffers 0 and 1.
double dotProduct(const Case &c, size_t i) {
  const size_t K = c.params["K"], N = c.params["N"];
  return dot(c, 0, i / N * K, 1, i % N * K, K);
}

double gather(const Case &c, size_t index, size_t table, size_t i) {
  const size_t C = c.params["C"];
  const double row = c.get(index, i / C);
  return row < 0 ? 0 : c.get(table, static_cast<size_t>(row) * C + i % C);
}

double attention(const Case &c, size_t i) {
  const int64_t heads = c.params["heads"], kvHeads = c.params["kv_heads"], D = c.params["D"], ring = c.params["ring"];
  const int64_t d = i % D, h = i / D % heads, t = i / D / heads, g = h * kvHeads / heads;
  const auto row = static_cast<int64_t>(c.get(4, t)), p = static_cast<int64_t>(c.get(5, t));
  if (row < 0)
    return 0;
  const auto start = static_cast<int64_t>(c.get(6, row));
  // Where element 0 of head g of the key (part 0) or value (part 1) of position j lies.
  auto at = [&](int64_t part, int64_t j) {
    return j >= start ? std::pair{size_t(1 + part), ((t - p + j) * kvHeads + g) * D}
                      : std::pair{size_t(3), (((row * 2 + part) * kvHeads + g) * ring + j % ring) * D};
  };
  double sum = 0, value = 0;
  for (int64_t j = std::max<int64_t>(0, p - c.scalars[0].i); j <= p; ++j) {
    const auto [keys, key] = at(0, j);
    const auto [values, v] = at(1, j);
    const double weight = std::exp(c.scalars[1].f * dot(c, 0, (t * heads + h) * D, keys, key, D));
    sum += weight;
    value += weight * c.get(values, v + d);
  }
  return value / sum;
}

/// Element i of the normed embedding of id argument `index`.
double embedNorm(const Case &c, size_t index, size_t table, size_t i) {
  const size_t C = c.params["C"];
  const double token = c.get(index, i / C);
  if (token < 0)
    return 0;
  const size_t row = static_cast<size_t>(token) * C;
  return c.get(table, row + i % C) / std::sqrt(dot(c, table, row, table, row, C) / C + std::ldexp(1.0, -23));
}

double embedSmear(const Case &c, size_t i) {
  const size_t C = c.params["C"], first = i / C * C;
  double gate = 0;
  for (int64_t l = 0; l < c.params["channels"]; ++l)
    gate += embedNorm(c, 0, 2, first + l) * c.get(3, l);
  return embedNorm(c, 0, 2, i) + c.get(4, 0) * sigmoid(gate) * embedNorm(c, 1, 2, i);
}

double rope(const Case &c, size_t i) {
  const size_t D = c.params["D"], half = D / 2, head = i / D, d = i % half;
  const size_t angle = static_cast<size_t>(c.get(2, head / c.params["heads"])) * D + d;
  const double a = c.get(0, head * D + d), b = c.get(0, head * D + half + d);
  const double cosine = c.get(1, angle), sine = c.get(1, angle + half);
  return i % D < half ? a * cosine + b * sine : b * cosine - a * sine;
}

double valueGate(const Case &c, size_t i) {
  const size_t heads = c.params["heads"], D = c.params["D"], channels = c.params["channels"];
  const size_t t = i / D / heads, g = i / D % heads;
  const double token = c.get(2, t);
  if (token < 0)
    return c.get(0, i);
  const double gate = sigmoid(dot(c, 1, t * c.params["C"], 4, g * channels, channels));
  return c.get(0, i) + c.scalars[0].f * gate * c.get(3, (static_cast<size_t>(token) * heads + g) * D + i % D);
}

double nll(const Case &c, size_t i) {
  const size_t V = c.params["V"];
  const double target = c.get(1, i);
  if (target < 0)
    return 0;
  double sum = 0;
  for (size_t id = 0; id < V; ++id)
    sum += std::exp(c.get(0, i * V + id));
  return std::log(sum) - c.get(0, i * V + static_cast<size_t>(target));
}

/// One row of sample, by sorting all candidates.
double sample(const Case &c, size_t row) {
  const auto V = static_cast<int>(c.params["V"]);
  if (c.get(1, row) < 0)
    return -1;
  auto logit = [&](int id) {
    const double z = c.get(0, row * c.params["Vp"] + id);
    return std::isnan(z) ? -std::numeric_limits<double>::infinity() : z;
  };
  const auto *words = c.at<uint32_t>(3);
  const double temperature = std::bit_cast<float>(words[0]), cap = c.scalars[0].f;
  const auto topK = static_cast<int>(words[1]);
  std::vector<int> ids(V);
  for (int id = 0; id < V; ++id)
    ids[id] = id;
  std::stable_sort(ids.begin(), ids.end(), [&](int a, int b) { return logit(a) > logit(b); });
  if (temperature == 0)
    return ids[0];
  if (topK > 0 && topK < V)
    ids.resize(topK);
  std::sort(ids.begin(), ids.end());
  double best = 0;
  int choice = -1;
  for (int id : ids) {
    const auto block = kernels::philox(
        {uint32_t(id / 4), uint32_t(words[4] + row), uint32_t(c.get(2, row)), 0x6e616e6f}, words[2], words[3]);
    const double u = (block[id % 4] + 0.5) / 4294967296.0, z = logit(id);
    const double score = (cap == 0 ? z : cap * std::tanh(z / cap)) / temperature - std::log(-std::log(u));
    if (choice < 0 || score > best) {
      best = score;
      choice = id;
    }
  }
  return choice;
}

/// s * x w^T
double product(const Case &c, size_t i) {
  const size_t K = c.params["K"], N = c.params["N"], row = i / N * K;
  double sum = dotProduct(c, i);
  if (c.params["norm"])
    sum /= std::sqrt(dot(c, 0, row, 0, row, K) / K + std::ldexp(1.0, -23));
  return sum;
}

double productAdd(const Case &c, size_t i) { return c.get(2, i) + product(c, i); }

double productMix(const Case &c, size_t i) {
  const size_t layer = c.scalars[0].i;
  return c.get(4, layer) * productAdd(c, i) + c.get(5, layer) * c.get(3, i);
}

double productBackout(const Case &c, size_t i) { return productAdd(c, i) - c.get(4, 0) * c.get(3, i); }

/// prepare_qkv and, if `gated`, prepare_qkv_gate.
double prepareQkv(const Case &c, size_t i, bool gated) {
  const size_t heads = c.params["heads"], kvHeads = c.params["kv_heads"], D = c.params["D"], half = D / 2;
  const size_t n = c.scalars[1].i, queries = n * heads * D, keys = n * kvHeads * D;
  auto at = [&](size_t t, size_t head) { return (t * (heads + 2 * kvHeads) + head) * D; };
  if (i >= queries + keys) {
    i -= queries + keys;
    const size_t t = i / D / kvHeads, g = i / D % kvHeads;
    const double value = c.get(0, at(t, heads + kvHeads + g) + i % D);
    if (!gated || c.get(7, t) < 0)
      return value;
    const size_t C = c.params["C"], channels = c.params["channels"];
    const double norm = std::sqrt(dot(c, 6, t * C, 6, t * C, C) / C + std::ldexp(1.0, -23));
    const double gate = sigmoid(dot(c, 6, t * C, 9, g * channels, channels) / norm);
    return value + c.scalars[2].f * gate * c.get(8, (static_cast<size_t>(c.get(7, t)) * kvHeads + g) * D + i % D);
  }
  const bool key = i >= queries;
  if (key)
    i -= queries;
  const size_t t = i / D / (key ? kvHeads : heads), head = i / D % (key ? kvHeads : heads) + (key ? heads : 0);
  const size_t x = at(t, head), angles = static_cast<size_t>(c.get(2, t)) * D;
  auto rotated = [&](size_t d) {
    const double a = c.get(0, x + d % half), b = c.get(0, x + half + d % half);
    const double cosine = c.get(1, angles + d % half), sine = c.get(1, angles + half + d % half);
    return d < half ? a * cosine + b * sine : b * cosine - a * sine;
  };
  double squares = 0;
  for (size_t d = 0; d < D; ++d)
    squares += rotated(d) * rotated(d);
  return c.scalars[0].f * rotated(i % D) / std::sqrt(squares / D + std::ldexp(1.0, -23));
}

const std::map<std::string_view, Formula> formulas = {
    {"embed", [](const Case &c, size_t i) { return gather(c, 0, 1, i); }},
    {"last", [](const Case &c, size_t i) { return gather(c, 1, 0, i); }},
    {"rms_norm",
     [](const Case &c, size_t i) {
       const size_t width = c.params["width"], row = i / width * width;
       return c.get(0, i) / std::sqrt(dot(c, 0, row, 0, row, width) / width + std::ldexp(1.0, -23));
     }},
    {"smear",
     [](const Case &c, size_t i) {
       const size_t C = c.params["C"];
       return c.get(0, i) + c.get(3, 0) * sigmoid(dot(c, 0, i / C * C, 2, 0, c.params["channels"])) * c.get(1, i);
     }},
    {"embed_norm", [](const Case &c, size_t i) { return embedNorm(c, 0, 1, i); }},
    {"embed_norm_mix", [](const Case &c, size_t i) { return embedNorm(c, 0, 1, i); }},
    {"embed_smear", embedSmear},
    {"embed_smear_mix", embedSmear},
    {"product", product},
    {"product_relu2", [](const Case &c, size_t i) { return std::pow(std::max(product(c, i), 0.0), 2); }},
    {"product_add", productAdd},
    {"product_mix", productMix},
    {"product_mix_sum", productAdd},
    {"product_backout", productBackout},
    {"prepare_qkv", [](const Case &c, size_t i) { return prepareQkv(c, i, false); }},
    {"prepare_qkv_gate", [](const Case &c, size_t i) { return prepareQkv(c, i, true); }},
    {"rope", rope},
    {"scale", [](const Case &c, size_t i) { return c.scalars[0].f * c.get(0, i); }},
    {"value_gate", valueGate},
    {"attention_chunk", attention},
    {"add", [](const Case &c, size_t i) { return c.get(0, i) + c.get(1, i); }},
    {"relu2", [](const Case &c, size_t i) { return std::pow(std::max(c.get(0, i), 0.0), 2); }},
    {"mix", [](const Case &c,
               size_t i) { return c.get(2, c.scalars[0].i) * c.get(0, i) + c.get(3, c.scalars[0].i) * c.get(1, i); }},
    {"backout", [](const Case &c, size_t i) { return c.get(0, i) - c.get(2, 0) * c.get(1, i); }},
    {"softcap",
     [](const Case &c, size_t i) {
       const size_t V = c.params["V"];
       const double z = c.get(0, i / V * c.params["Vp"] + i % V), cap = c.scalars[0].f;
       return cap == 0 ? z : cap * std::tanh(z / cap);
     }},
    {"sample", sample},
    {"nll", nll},
};

/// The second output of meanings that have two.
const std::map<std::string_view, Formula> secondFormulas = {
    {"embed_norm_mix",
     [](const Case &c, size_t i) {
       const size_t layer = c.scalars[0].i;
       return (c.get(2, layer) + c.get(3, layer)) * embedNorm(c, 0, 1, i);
     }},
    {"embed_smear_mix",
     [](const Case &c, size_t i) {
       const size_t layer = c.scalars[0].i;
       return (c.get(5, layer) + c.get(6, layer)) * embedSmear(c, i);
     }},
    {"product_mix_sum", productMix},
};

class Formulas : public testing::TestWithParam<const kernels::Kernel *> {};
class Kernels : public testing::TestWithParam<const kernels::Kernel *> {};

std::vector<const kernels::Kernel *> allKernels() {
  std::vector<const kernels::Kernel *> all;
  for (const kernels::Kernel &kernel : kernels::catalogue().allKernels())
    all.push_back(&kernel);
  return all;
}

/// All but those that change a ring in place (see KvWrite and AttentionStep), and feed and advance (see Generation).
std::vector<const kernels::Kernel *> kernelsWithFormula() {
  std::vector<const kernels::Kernel *> some;
  for (const kernels::Kernel *kernel : allKernels())
    if (formulas.contains(kernel->meaning.name))
      some.push_back(kernel);
  return some;
}

/// The bound is the one that `check --against` grants a kernel: a reference further from the truth would spend it
/// alone.
TEST_P(Formulas, ReferenceAgrees) {
  const kernels::Kernel &kernel = *GetParam();
  auto math = nanort::makeHostMath(3);
  for (Case &c : nanotest::casesOf(kernel)) {
    ASSERT_EQ(kernel.constraint(c.params), "") << c.label();
    const Case inputs = c;
    c.runCpu(*math);
    size_t outputs = 0, before = 0; // elements of earlier outputs
    for (size_t b = 0; b < c.buffers.size(); ++b) {
      if (c.arg(b).access != kernels::Access::Out) {
        ASSERT_EQ(c.buffers[b], inputs.buffers[b]) << c.label() << " changed its input " << c.arg(b).name;
        continue;
      }
      const bool second = outputs++ > 0 && secondFormulas.contains(kernel.meaning.name);
      const Formula &formula = (second ? secondFormulas : formulas).at(kernel.meaning.name);
      std::vector<double> want(c.elements(b));
      double largest = 0;
      for (size_t i = 0; i < want.size(); ++i) {
        want[i] = formula(inputs, second ? i : before + i);
        largest = std::max(largest, std::abs(want[i]));
      }
      before += want.size();
      const double bound = kernel.meaning.tolerance(c.params) * largest + 1e-15; // the formula rounds too
      for (size_t i = 0; i < want.size(); ++i)
        ASSERT_TRUE(std::abs(c.get(b, i) - want[i]) <= bound)
            << c.label() << " " << c.arg(b).name << "[" << i << "]: " << c.get(b, i) << ", formula " << want[i]
            << " +- " << bound;
    }
  }
}

TEST_P(Kernels, ThreadsDoNotChangeTheResult) {
  auto one = nanort::makeHostMath(1), many = nanort::makeHostMath(5);
  for (Case &c : nanotest::casesOf(*GetParam())) {
    Case again = c;
    c.runCpu(*one);
    again.runCpu(*many);
    ASSERT_EQ(c.buffers, again.buffers) << c.label();
  }
}

TEST_P(Kernels, ShapeCoversAndCostCounts) {
  for (const Case &c : nanotest::casesOf(*GetParam())) {
    EXPECT_GT(c.kernel->cost(c.launch()).bytes, 0u) << c.label();
    if (!c.kernel->engine)
      continue;
    const kernels::LaunchShape shape = c.kernel->shape(c.launch());
    EXPECT_GE(shape.threads, 32u) << c.label();
    EXPECT_LE(shape.threads, 1024u) << c.label();
    EXPECT_GE(shape.blocks, 1u) << c.label();
    EXPECT_GE(c.kernel->tolerance(c.params), c.kernel->meaning.tolerance(c.params)) << c.label();
  }
}

TEST_P(Kernels, TensorMapsStayInsideTheirBuffersAndTheDriversLimits) {
  for (const Case &c : nanotest::casesOf(*GetParam()))
    for (const kernels::TensorMap &map : c.kernel->maps(c.launch(), c.limits)) {
      const size_t arg = c.kernel->indexOf(map.arg);
      ASSERT_GE(map.extents.size(), 2u) << c.label();
      ASSERT_EQ(map.strides.size() + 1, map.extents.size()) << c.label();
      ASSERT_EQ(map.box.size(), map.extents.size()) << c.label();
      uint64_t end = map.extents[0] * sizeOf(c.types[arg]); // of the last element that a copy can reach
      for (size_t d = 0; d < map.extents.size(); ++d) {
        EXPECT_GT(map.extents[d], 0u) << c.label();
        EXPECT_TRUE(map.box[d] > 0 && map.box[d] <= 256) << c.label();
        if (d == 0)
          continue;
        EXPECT_EQ(map.strides[d - 1] % 16, 0u) << c.label();
        end += (map.extents[d] - 1) * map.strides[d - 1];
      }
      EXPECT_LE(end, c.buffers[arg].size()) << c.label();
      if (map.swizzle != 0) {
        EXPECT_LE(map.box[0] * sizeOf(c.types[arg]), map.swizzle) << c.label();
      }
    }
}

std::string nameOfKernel(const testing::TestParamInfo<const kernels::Kernel *> &info) {
  return info.param->meaning.name + "_" + std::string(info.param->engine ? info.param->engine->name : "reference");
}

INSTANTIATE_TEST_SUITE_P(All, Formulas, testing::ValuesIn(kernelsWithFormula()), nameOfKernel);
INSTANTIATE_TEST_SUITE_P(All, Kernels, testing::ValuesIn(allKernels()), nameOfKernel);

TEST(References, EveryMeaningHasOne) {
  for (const kernels::Meaning &meaning : kernels::catalogue().allMeanings())
    EXPECT_NE(kernels::findReference(meaning.name), nullptr) << meaning.name;
  EXPECT_EQ(kernels::findReference("rms_nom"), nullptr);
}

TEST(Fallbacks, NameTheNearestShapeThatTheFastPathServes) {
  auto reason = [](std::string_view meaning, std::string_view engine, const kernels::Values &values) {
    return kernels::catalogue().kernel(meaning, engine)->fallback(values);
  };
  constexpr int64_t f32 = valueOf(kernels::DType::F32), bf16 = valueOf(kernels::DType::BF16);
  for (const char *meaning :
       {"product", "product_relu2", "product_add", "product_mix", "product_mix_sum", "product_backout"})
    for (const char *engine : {"stream", "mma"}) {
      EXPECT_EQ(reason(meaning, engine, {{"T", bf16}, {"K", 12}}),
                "K is 12, not a multiple of 8; the nearest that works is 16");
      EXPECT_EQ(reason(meaning, engine, {{"T", bf16}, {"K", 40}}), "");
      EXPECT_EQ(reason(meaning, engine, {{"T", f32}, {"K", 12}}), ""); // general by choice
    }
  for (const char *meaning : {"attention_step", "attention_step_gate"}) {
    auto step = [&](int64_t T, int64_t D) { return reason(meaning, "cluster", {{"T", T}, {"D", D}}); };
    EXPECT_EQ(step(bf16, 80), "D is 80, not a multiple of 32; the nearest that works is 96");
    EXPECT_EQ(step(bf16, 8), "D is 8; the nearest that works is 32");
    EXPECT_EQ(step(bf16, 280), "D is 280; the nearest that works is 256");
    EXPECT_EQ(step(bf16, 128), "");
    EXPECT_EQ(step(f32, 80), "");
  }
  auto attention = [&](int64_t T, int64_t heads, int64_t D) {
    return reason("attention_chunk", "simt", {{"T", T}, {"heads", heads}, {"kv_heads", 1}, {"D", D}, {"ring", 128}});
  };
  EXPECT_EQ(attention(bf16, 2, 12),
            "attention_step does not serve it: D is 12, not a multiple of 8; the nearest that works is 16");
  EXPECT_EQ(attention(bf16, 9, 64),
            "attention_step does not serve it: heads is 9, which are 9 for each of kv_heads; 8 works");
  EXPECT_EQ(attention(bf16, 2, 80), "");
  EXPECT_EQ(attention(f32, 2, 12), "");
  EXPECT_EQ(reason("rms_norm", "simt", {{"T", bf16}, {"width", 7}}), "");
}

TEST(Constraints, NameTheNearestValueThatWorks) {
  auto violation = [](std::string_view meaning, const kernels::Values &values) {
    return kernels::catalogue().meaning(meaning)->constraint(values);
  };
  EXPECT_EQ(
      violation("rope",
                {{"T", valueOf(kernels::DType::BF16)}, {"P", valueOf(kernels::DType::BF16)}, {"heads", 6}, {"D", 33}}),
      "D is 33, not a multiple of 2; the nearest that works is 34");
  EXPECT_EQ(violation("attention_chunk",
                      {{"T", valueOf(kernels::DType::BF16)}, {"heads", 6}, {"kv_heads", 4}, {"D", 64}, {"ring", 9}}),
            "heads is 6, not a multiple of kv_heads; the nearest that works is 8");
  EXPECT_EQ(violation("attention_chunk",
                      {{"T", valueOf(kernels::DType::BF16)}, {"heads", 6}, {"kv_heads", 0}, {"D", 64}, {"ring", 9}}),
            "kv_heads is 0; the nearest that works is 1");
  EXPECT_EQ(violation("attention_chunk",
                      {{"T", valueOf(kernels::DType::BF16)}, {"heads", 6}, {"kv_heads", 2}, {"D", 513}, {"ring", 9}}),
            "D is 513; the nearest that works is 512");
  EXPECT_EQ(violation("softcap", {{"V", 65}, {"Vp", 64}}), "V is 65; the nearest that works is 64");
  EXPECT_EQ(violation("embed", {{"T", valueOf(kernels::DType::I32)}, {"C", 64}}), "T must be f32 or bf16");
}

} // namespace
