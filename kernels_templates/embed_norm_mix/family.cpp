#include "kernels_templates/common/describe.h"

namespace kernels::embed_norm_mix {

static std::string constraint(const Params &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "C", 1, maxExtent)});
}

static LaunchShape shape(const Params &, std::span<const Scalar> scalars) {
  LaunchShape shape;
  shape.block[0] = 256; // one block per token
  shape.grid[0] = blocksFor(extent(scalars[1]), 1);
  return shape;
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t n = extent(scalars[1]), C = p["C"];
  return {n * (3 * C * sizeOf(p.type("T")) + 4) + 8, 6 * n * C};
}

static double tolerance(const Params &p) { return roundingOf(p.type("T")) + reductionOf(p["C"]) / 2; }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  uint64_t n = extent(scalars[1]), layers = extent(scalars[0]) + 1;
  return {n, elementCount(limits.vocab, p["C"]), layers, layers, elementCount(n, p["C"]), elementCount(n, p["C"])};
}

const Family family = {"embed_norm_mix",
                       {{"T", true}, {"C"}},
                       {{"tokens", ArgKind::In, "i32"},
                        {"table", ArgKind::In, "T"},
                        {"resid", ArgKind::In, "f32"},
                        {"skip", ArgKind::In, "f32"},
                        {"x0", ArgKind::Out, "T"},
                        {"y", ArgKind::Out, "T"},
                        {"layer", ArgKind::I32},
                        {"n", ArgKind::I32}},
                       constraint,
                       shape,
                       cost,
                       tolerance,
                       extents};

} // namespace kernels::embed_norm_mix
