#include "kernels_templates/common/describe.h"

namespace kernels::rope {

static std::string constraint(const Params &p) {
  return firstOf({requireFloat(p, "T"), requireFloat(p, "P"), requireRange(p, "heads", 1, maxExtent),
                  requireRange(p, "D", 2, maxExtent), requireMultiple(p, "D", 2, "2")});
}

static LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  int64_t half = p["D"] / 2;
  int lanes = std::min(vectorWidth(half, sizeOf(p.type("T"))), vectorWidth(half, sizeOf(p.type("P"))));
  return threadsFor(extent(scalars[0]) * p["heads"] * (half / lanes));
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t n = extent(scalars[0]), elements = n * p["heads"] * p["D"];
  return {2 * elements * sizeOf(p.type("T")) + n * (p["D"] * sizeOf(p.type("P")) + 4), 3 * elements};
}

static double tolerance(const Params &p) { return roundingOf(p.type("T")); }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  uint64_t n = extent(scalars[0]);
  uint64_t elements = elementCount(n, p["heads"], p["D"]);
  return {elements, elementCount(limits.positions, p["D"]), n, elements};
}

const Family family = {"rope",
                       {{"T", true}, {"P", true}, {"heads"}, {"D"}},
                       {{"x", ArgKind::In, "T"},
                        {"table", ArgKind::In, "P"},
                        {"positions", ArgKind::In, "i32"},
                        {"y", ArgKind::Out, "T"},
                        {"n", ArgKind::I32}},
                       constraint,
                       shape,
                       cost,
                       tolerance,
                       extents};

} // namespace kernels::rope
