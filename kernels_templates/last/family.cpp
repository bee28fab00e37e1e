#include "kernels_templates/common/describe.h"

namespace kernels::last {

static std::string constraint(const Params &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "C", 1, maxExtent)});
}

static LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  return threadsFor(extent(scalars[0]) * p["C"] / vectorWidth(p["C"], sizeOf(p.type("T"))));
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  return {extent(scalars[0]) * (2 * p["C"] * sizeOf(p.type("T")) + 4), 0};
}

static double tolerance(const Params &) { return 0; } // a copy

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  uint64_t r = extent(scalars[0]);
  return {elementCount(limits.tokens, p["C"]), r, elementCount(r, p["C"])};
}

const Family family = {
    "last",
    {{"T", true}, {"C"}},
    {{"x", ArgKind::In, "T"}, {"index", ArgKind::In, "i32"}, {"y", ArgKind::Out, "T"}, {"r", ArgKind::I32}},
    constraint,
    shape,
    cost,
    tolerance,
    extents};

} // namespace kernels::last
