#include "kernels_templates/common/describe.h"

namespace kernels::smear {

static std::string constraint(const Params &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "C", 1, maxExtent), requireRange(p, "channels", 1, p["C"])});
}

static LaunchShape shape(const Params &, std::span<const Scalar> scalars) { return warpsFor(extent(scalars[0])); }

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t n = extent(scalars[0]);
  return {(3 * n * p["C"] + p["channels"]) * sizeOf(p.type("T")) + 4, n * 2 * (p["C"] + p["channels"])};
}

static double tolerance(const Params &p) { return roundingOf(p.type("T")) + reductionOf(p["channels"]); }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &) {
  uint64_t n = extent(scalars[0]);
  uint64_t elements = elementCount(n, p["C"]);
  return {elements, elements, static_cast<uint64_t>(p["channels"]), 1, elements};
}

const Family family = {"smear",
                       {{"T", true}, {"C"}, {"channels"}},
                       {{"u", ArgKind::In, "T"},
                        {"prev", ArgKind::In, "T"},
                        {"gate", ArgKind::In, "T"},
                        {"lambda", ArgKind::In, "f32"},
                        {"y", ArgKind::Out, "T"},
                        {"n", ArgKind::I32}},
                       constraint,
                       shape,
                       cost,
                       tolerance,
                       extents};

} // namespace kernels::smear
