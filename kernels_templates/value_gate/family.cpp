#include "kernels_templates/common/describe.h"

namespace kernels::value_gate {

static std::string constraint(const Params &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "heads", 1, maxExtent), requireRange(p, "D", 1, maxExtent),
                  requireRange(p, "C", 1, maxExtent), requireRange(p, "channels", 1, p["C"])});
}

static LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  return warpsFor(extent(scalars[1]) * p["heads"]);
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t n = extent(scalars[1]), heads = p["heads"], D = p["D"], channels = p["channels"];
  return {(3 * n * heads * D + n * channels + heads * channels) * sizeOf(p.type("T")) + 4 * n,
          2 * n * heads * (D + channels)};
}

static double tolerance(const Params &p) { return roundingOf(p.type("T")) + reductionOf(p["channels"]); }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  uint64_t n = extent(scalars[1]);
  uint64_t elements = elementCount(n, p["heads"], p["D"]);
  return {elements,
          elementCount(n, p["C"]),
          n,
          elementCount(limits.vocab, p["heads"], p["D"]),
          elementCount(p["heads"], p["channels"]),
          elements};
}

const Family family = {"value_gate",
                       {{"T", true}, {"heads"}, {"D"}, {"C"}, {"channels"}},
                       {{"v", ArgKind::In, "T"},
                        {"h", ArgKind::In, "T"},
                        {"tokens", ArgKind::In, "i32"},
                        {"table", ArgKind::In, "T"},
                        {"gate", ArgKind::In, "T"},
                        {"y", ArgKind::Out, "T"},
                        {"range", ArgKind::F32},
                        {"n", ArgKind::I32}},
                       constraint,
                       shape,
                       cost,
                       tolerance,
                       extents};

} // namespace kernels::value_gate
