#include "runtime/measure/attention_timer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace nanort::cuda {

namespace {

constexpr std::string_view generalEngine = "simt";

// Pairs of a query and a key from which on one launch of the general engine makes a chain: it multiplies a key at a
// time on the ordinary cores, so that 2^20 pairs of each head take far longer than what lies between two launches, and
// 16,384 tokens have 256 times as many.
constexpr double oncePairs = 1 << 20;

std::vector<Candidate> candidatesOf(const codegen::Problem &attention, const std::string &target) {
  const float scale = 1 / std::sqrt(static_cast<float>(attention.values["D"]));
  return candidatesFor(attention, target, {{"scale", scale}, {"mult", 1.2f}, {"range", 3.0f}});
}

/// Of the slots of a launch, where its kernels read that.
void write(Workbench &bench, const ChainData &data, std::string_view name, const std::vector<int32_t> &values) {
  if (auto operand = data.operands.find(name); operand != data.operands.end())
    bench.staging.write(operand->second->address, values.data(), values.size() * sizeof(int32_t));
}

} // namespace

std::vector<KernelTime> AttentionTimer::chunk(const codegen::Problem &attention, const Refused &refused,
                                              const Prompts &prompts) {
  bench.gpu.makeCurrent();
  const int64_t tokens = attention.values["n"], length = tokens / prompts.count;
  std::vector<Candidate> candidates = candidatesOf(attention, bench.target);
  if (!prompts.general)
    std::erase_if(candidates, [](const Candidate &candidate) { return candidate.choice.engine == generalEngine; });
  const auto seen = static_cast<double>(std::min(length, attention.values["window"] + 1));
  for (Candidate &candidate : candidates)
    candidate.once = candidate.choice.engine == generalEngine && static_cast<double>(tokens) * seen > oncePairs;

  const ChainData data = bench.data(
      candidates,
      {static_cast<uint64_t>(tokens), static_cast<uint64_t>(prompts.count), 1, static_cast<uint64_t>(length)}, {});
  std::vector<int32_t> rows(static_cast<size_t>(tokens)), positions(rows);
  for (int64_t t = 0; t < tokens; ++t) {
    rows[static_cast<size_t>(t)] = static_cast<int32_t>(t / length);
    positions[static_cast<size_t>(t)] = static_cast<int32_t>(t % length);
  }
  write(bench, data, "rows", rows);
  write(bench, data, "positions", positions); // "starts" are zeros: no older keys
  return bench.times(bench.chains(candidates, data, prompts.early, refused));
}

std::vector<KernelTime> AttentionTimer::step(const codegen::Problem &attention, const Refused &refused) {
  bench.gpu.makeCurrent();
  const std::vector<Candidate> candidates = candidatesOf(attention, bench.target);
  // Of a full window, the new one included.
  const int64_t keys = std::min(attention.values["window"] + 1, attention.values["ring"]);
  const uint64_t n = attention.values.count("n");
  const ChainData data = bench.data(candidates, {n, n, n, static_cast<uint64_t>(keys)}, {"kv", "embeds", "gate"});
  std::vector<int32_t> slots(n);
  std::iota(slots.begin(), slots.end(), 0);
  write(bench, data, "rows", slots);
  write(bench, data, "tokens", slots);
  write(bench, data, "positions", std::vector<int32_t>(n, static_cast<int32_t>(keys - 1)));
  return bench.times(bench.chains(candidates, data, /*early=*/true, refused));
}

} // namespace nanort::cuda
