#include "kernels_templates/attention/attention.h"
#include "kernels_templates/attention/step_spread_layout.h"

namespace kernels {

static StepSpreadLayout layoutOf(const Values &p) {
  return {static_cast<int>(sizeOf(DType::BF16)), static_cast<int>(p["heads"] / p["kv_heads"]),
          static_cast<int>(p["D"]), p["ring"], p["chunk"]};
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

const Engine stepSpread = {
    .name = "spread",
    .header = "attention/step_spread.cuh",
    .body = "stepSpread",
    .params = {{"chunk"}, {"blocks"}},
    .args = {{.name = "counters", .access = Access::InOut, .role = Role::Counters, .type = "u32", .shape = "n kv_heads"},
             {.name = "partials",
              .access = Access::Scratch,
              .role = Role::Partials,
              .type = "f32",
              .elements = partials}},
    .constraint = constraint,
    .shape = shape,
    .moreCost = moreCost,
    .waitsItself = true,
    .tensorCores = true};

} // namespace kernels
