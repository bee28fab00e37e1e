#include "kernels_templates/common/describe.h"

namespace kernels::relu2 {

static std::string constraint(const Params &p) { return requireFloat(p, "T"); }

static LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  uint64_t lanes = 16 / sizeOf(p.type("T"));
  return threadsFor((extent(scalars[0]) + lanes - 1) / lanes);
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t count = extent(scalars[0]);
  return {2 * count * sizeOf(p.type("T")), 2 * count};
}

static double tolerance(const Params &p) { return roundingOf(p.type("T")); }

static std::vector<uint64_t> extents(const Params &, std::span<const Scalar> scalars, const Limits &) {
  uint64_t count = extent(scalars[0]);
  return {count, count};
}

const Family family = {
    "relu2",    {{"T", true}}, {{"x", ArgKind::In, "T"}, {"y", ArgKind::Out, "T"}, {"count", ArgKind::I32}},
    constraint, shape,         cost,
    tolerance,  extents};

} // namespace kernels::relu2
