#include "runtime/measure/attention_timer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace nanort::cuda {

namespace {

constexpr std::string_view GeneralStem = "attention";

// Pairs of a query and a key from which on one launch of the general template makes a chain: it multiplies a key at a
// time on the ordinary cores, so that 2^20 pairs of each head take far longer than what lies between two launches, and
// 16,384 tokens have 256 times as many.
constexpr double OncePairs = 1 << 20;

/// Floats, which matter to no choice, by name.
void setFloats(std::vector<Candidate> &candidates, int64_t dim) {
  for (Candidate &candidate : candidates) {
    size_t scalar = 0;
    for (const kernels::ArgDecl &arg : candidate.instance.family->args)
      if (isScalar(arg.kind)) {
        kernels::Scalar &value = candidate.instance.scalars[scalar++];
        if (arg.name == "scale")
          value.f = 1 / std::sqrt(static_cast<float>(dim));
        else if (arg.name == "mult")
          value.f = 1.2f;
        else if (arg.name == "range")
          value.f = 3;
      }
  }
}

/// Of the slots of a launch, where its kernels read that.
void write(Workbench &bench, const ChainData &data, std::string_view name, const std::vector<int32_t> &values) {
  if (auto operand = data.operands.find(name); operand != data.operands.end())
    bench.staging.write(operand->second->address, values.data(), values.size() * sizeof(int32_t));
}

} // namespace

std::vector<KernelTime> AttentionTimer::time(const codegen::Attention &attention, const Refused &refused,
                                             const Prompts &prompts) {
  bench.gpu.makeCurrent();
  const int64_t length = attention.tokens / prompts.count;
  std::vector<Candidate> candidates = candidatesFor(attention, bench.target);
  if (!prompts.general)
    std::erase_if(candidates, [](const Candidate &candidate) { return candidate.choice.stem == GeneralStem; });
  setFloats(candidates, attention.dim);
  const double seen = static_cast<double>(std::min(length, attention.window + 1));
  for (Candidate &candidate : candidates)
    candidate.once = candidate.choice.stem == GeneralStem && static_cast<double>(attention.tokens) * seen > OncePairs;

  const ChainData data = bench.data(
      candidates,
      {static_cast<uint64_t>(attention.tokens), static_cast<uint64_t>(prompts.count), 1, static_cast<uint64_t>(length)},
      {});
  std::vector<int32_t> rows(static_cast<size_t>(attention.tokens)), positions(rows);
  for (int64_t t = 0; t < attention.tokens; ++t) {
    rows[static_cast<size_t>(t)] = static_cast<int32_t>(t / length);
    positions[static_cast<size_t>(t)] = static_cast<int32_t>(t % length);
  }
  write(bench, data, "rows", rows);
  write(bench, data, "positions", positions); // "starts" are zeros: no older keys
  return bench.times(bench.chains(candidates, data, prompts.early, refused));
}

std::vector<KernelTime> AttentionTimer::time(const codegen::DecodeAttention &attention, const Refused &refused) {
  bench.gpu.makeCurrent();
  std::vector<Candidate> candidates = candidatesFor(attention, bench.target);
  setFloats(candidates, attention.dim);
  const int64_t keys = std::min(attention.window + 1, attention.ring); // of a full window, the new one included
  const auto n = static_cast<uint64_t>(attention.tokens);
  const ChainData data = bench.data(candidates, {n, n, n, static_cast<uint64_t>(keys)}, {"kv", "embeds", "gate"});
  std::vector<int32_t> slots(n);
  std::iota(slots.begin(), slots.end(), 0);
  write(bench, data, "rows", slots);
  write(bench, data, "tokens", slots);
  write(bench, data, "positions", std::vector<int32_t>(n, static_cast<int32_t>(keys - 1)));
  return bench.times(bench.chains(candidates, data, /*early=*/true, refused));
}

} // namespace nanort::cuda
