#include "kernels_templates/attention/attention.h"
#include "kernels_templates/attention/step_spread_layout.h"

namespace kernels {

static_assert(StepSpreadLayout::room < leastBlockShared());

static StepSpreadLayout layoutOf(const Values &p) {
  return {static_cast<int>(sizeOf(DType::BF16)), static_cast<int>(p["heads"] / p["kv_heads"]), static_cast<int>(p["D"]),
          p["ring"], p["chunk"]};
}

uint64_t spreadPartialFloats(const Values &p) { return static_cast<uint64_t>(layoutOf(p).partialFloats); }

static uint64_t partials(const Values &v, const Limits &) {
  return elementCount(v.count("n"), v.count("kv_heads"), spreadPartialFloats(v));
}

static std::string constraint(const Values &p) {
  constexpr int32_t slots = StepLayout::tileSlots, least = StepLayout::leastTensor;
  return firstOf({requireBf16(p, "T"), requireGroup(p), requireRange(p, "D", least, StepLayout::mostTensor),
                  requireMultiple(p, "D", least, std::to_string(least)), requireRange(p, "chunk", slots, 1 << 16),
                  requireMultiple(p, "chunk", slots, std::to_string(slots)), requireRange(p, "blocks", 1, 1 << 12)});
}

static LaunchShape shape(const Values &v) {
  const StepSpreadLayout layout = layoutOf(v);
  return {.blocks = static_cast<uint32_t>(v["blocks"]),
          .threads = static_cast<uint32_t>(layout.threads),
          .sharedBytes = static_cast<uint32_t>(layout.sharedBytes)};
}

/// Partial results, there and back.
static Cost moreCost(const Values &v) {
  const uint64_t keys = std::min(v.count("window") + 1, v.count("ring"));
  return {.bytes = 8 * v.count("n") * v.count("heads") * ceilDiv(keys, v.count("chunk")) * (v.count("D") + 1)};
}

static std::vector<Values> candidates(const Kernel &, const Values &problem, const Target &device) {
  std::vector<Values> all;
  for (int64_t chunk : {32, 64, 128, 256})
    if (chunk == 32 || chunk < 2 * problem["ring"])
      all.push_back({{"chunk", chunk}, {"blocks", device.sms}});
  return all;
}

/// What a launch takes besides, a warp's tile, a chunk, partial results that meet in memory, and the share of the
/// bandwidth, as an H100 80GB HBM3 has shown (step_cluster.cpp). The SM with the most chunks takes longest, the last
/// one's warp alone for half of it.
static double predict(const LaunchToPredict &l) {
  constexpr double fillUs = 1.6, tileUs = 1.7, chunkUs = 1.0, meetUs = 5, share = 0.95;
  const Values &v = l.values;
  const uint64_t heads = v.count("n") * v.count("kv_heads"), keys = std::min(v.count("window") + 1, v.count("ring"));
  const uint64_t warps = l.shape.threads / 32, tiles = ceilDiv(keys, StepLayout::tileSlots), sms = l.device.sms;
  const double all = std::max(l.roofline.bytesUs, l.roofline.flopsUs);
  const uint64_t chunk = std::min(ceilDiv(v.count("chunk"), StepLayout::tileSlots), tiles),
                 chunks = heads * ceilDiv(tiles, chunk);
  const double ofChunk = static_cast<double>(chunk) * tileUs;
  const auto each = static_cast<double>(ceilDiv(chunks, l.shape.blocks * warps));
  const double most = all * static_cast<double>(ceilDiv(chunks, sms) * sms) / static_cast<double>(chunks);
  return l.roofline.launchUs + fillUs + std::max(most / share, each * (ofChunk + chunkUs)) + ofChunk / 2 + meetUs;
}

const Engine stepSpread = {
    .name = "spread",
    .header = "attention/step_spread.cuh",
    .body = "stepSpread",
    .params = {{"chunk"}, {"blocks"}},
    .args =
        {{.name = "counters", .access = Access::InOut, .role = Role::Counters, .type = "u32", .shape = "n kv_heads"},
         {.name = "partials", .access = Access::Scratch, .role = Role::Partials, .type = "f32", .elements = partials}},
    .constraint = constraint,
    .shape = shape,
    .moreCost = moreCost,
    .waitsItself = true,
    .tensorCores = true,
    .candidates = candidates,
    .predict = predict};

} // namespace kernels
