#include "kernels_templates/common/describe.h"

namespace kernels::rms_norm {

static std::string constraint(const Params &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "width", 1, maxExtent)});
}

static LaunchShape shape(const Params &, std::span<const Scalar> scalars) { return warpsFor(extent(scalars[0])); }

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t elements = extent(scalars[0]) * p["width"];
  return {2 * elements * sizeOf(p.type("T")), 3 * elements}; // square, add, scale
}

// The reduction's terms are all positive and the root halves its relative error.
static double tolerance(const Params &p) { return roundingOf(p.type("T")) + reductionOf(p["width"]) / 2; }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &) {
  uint64_t n = extent(scalars[0]);
  return {elementCount(n, p["width"]), elementCount(n, p["width"])};
}

const Family family = {"rms_norm",
                       {{"T", true}, {"width"}},
                       {{"x", ArgKind::In, "T"}, {"y", ArgKind::Out, "T"}, {"n", ArgKind::I32}},
                       constraint,
                       shape,
                       cost,
                       tolerance,
                       extents};

} // namespace kernels::rms_norm
