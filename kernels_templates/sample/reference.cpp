// What sample computes, on the CPU.
#include "kernels_templates/base/reference.h"
#include "kernels_templates/sample/philox.h"
#include "kernels_templates/sample/words.h"

#include <bit>
#include <limits>
#include <vector>

namespace kernels {

namespace {

constexpr float lowest = -std::numeric_limits<float>::infinity();

/// NaN counts as -inf, and -0 as 0.
float clean(float z) { return std::isnan(z) ? lowest : z + 0.0f; }

/// Larger for a larger z, and among equal ones for a lower id; all different.
uint64_t orderOf(float z, uint32_t id) {
  uint32_t bits = std::bit_cast<uint32_t>(clean(z));
  bits = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return uint64_t{bits} << 32 | ~id;
}

/// The k-th largest order of a row: ids of at least this order are the candidates.
uint64_t threshold(const float *z, int64_t V, int64_t k) {
  std::vector<uint64_t> orders(V);
  for (int64_t id = 0; id < V; ++id)
    orders[id] = orderOf(z[id], static_cast<uint32_t>(id));
  std::nth_element(orders.begin(), orders.begin() + (k - 1), orders.end(), std::greater<>());
  return orders[k - 1];
}

int32_t greedy(const float *z, int64_t V) {
  int32_t best = 0;
  for (int64_t id = 1; id < V; ++id)
    if (clean(z[id]) > clean(z[best]))
      best = static_cast<int32_t>(id);
  return best;
}

/// The sampling words, decoded.
struct Sampling {
  explicit Sampling(const uint32_t *words)
      : temperature(std::bit_cast<float>(words[samplingTemperature])), topK(static_cast<int32_t>(words[samplingTopK])),
        seedLow(words[samplingSeedLow]), seedHigh(words[samplingSeedHigh]), rowBase(words[samplingRowBase]) {}
  float temperature;
  int32_t topK;
  uint32_t seedLow, seedHigh, rowBase;
};

/// -log(-log(u)) for the uniform u = (word + 0.5) / 2^32; between -3.2 and 22.9.
double gumbel(uint32_t word) { return -std::log(-std::log((word + 0.5) * 0x1p-32)); }

int32_t draw(const float *z, int64_t V, const Sampling &sampling, uint32_t row, uint32_t step, double cap) {
  const bool all = sampling.topK <= 0 || sampling.topK >= V;
  const uint64_t least = all ? 0 : threshold(z, V, sampling.topK);
  constexpr double mostNoise = 23;
  double best = -std::numeric_limits<double>::infinity();
  int32_t choice = -1;
  PhiloxBlock words{};
  int64_t block = -1; // of `words`
  for (int64_t id = 0; id < V; ++id) {
    if (orderOf(z[id], static_cast<uint32_t>(id)) < least)
      continue;
    double score = clean(z[id]);
    score = (cap == 0 ? score : cap * std::tanh(score / cap)) / sampling.temperature;
    if (choice >= 0 && score + mostNoise < best)
      continue; // cannot win
    if (block != id / 4) {
      block = id / 4;
      words = philox({static_cast<uint32_t>(block), row, step, samplingStream}, sampling.seedLow, sampling.seedHigh);
    }
    score += gumbel(words[static_cast<int>(id % 4)]);
    if (choice < 0 || score > best) {
      best = score;
      choice = static_cast<int32_t>(id);
    }
  }
  return choice;
}

void sample(const ReferenceCall &call) {
  const int64_t V = call["V"], Vp = call["Vp"];
  const int32_t *index = call.at<int32_t>("index"), *steps = call.at<int32_t>("steps");
  const Sampling sampling(call.at<uint32_t>("sampling"));
  const float cap = call.real("cap");
  call.math.parallelFor(call.integer("r"), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float *z = call.at<float>("z") + i * Vp;
      int32_t &next = call.at<int32_t>("next")[i];
      if (index[i] < 0)
        next = -1;
      else if (!(sampling.temperature > 0))
        next = greedy(z, V);
      else
        next = draw(z, V, sampling, sampling.rowBase + static_cast<uint32_t>(i), static_cast<uint32_t>(steps[i]), cap);
    }
  });
}

} // namespace

Reference reference_sample(std::string_view meaning) { return meaning == "sample" ? sample : nullptr; }

} // namespace kernels
