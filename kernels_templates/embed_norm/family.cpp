#include "kernels_templates/common/describe.h"

namespace kernels::embed_norm {

static std::string constraint(const Params &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "C", 1, maxExtent)});
}

static LaunchShape shape(const Params &, std::span<const Scalar> scalars) {
  LaunchShape shape;
  shape.block[0] = 256; // one block per token
  shape.grid[0] = blocksFor(extent(scalars[0]), 1);
  return shape;
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t n = extent(scalars[0]), C = p["C"];
  return {n * (2 * C * sizeOf(p.type("T")) + 4), 3 * n * C};
}

static double tolerance(const Params &p) { return roundingOf(p.type("T")) + reductionOf(p["C"]) / 2; }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  uint64_t n = extent(scalars[0]);
  return {n, elementCount(limits.vocab, p["C"]), elementCount(n, p["C"])};
}

const Family family = {
    "embed_norm",
    {{"T", true}, {"C"}},
    {{"tokens", ArgKind::In, "i32"}, {"table", ArgKind::In, "T"}, {"y", ArgKind::Out, "T"}, {"n", ArgKind::I32}},
    constraint,
    shape,
    cost,
    tolerance,
    extents};

} // namespace kernels::embed_norm
