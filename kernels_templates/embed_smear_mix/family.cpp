#include "kernels_templates/common/describe.h"

namespace kernels::embed_smear_mix {

static std::string constraint(const Params &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "C", 1, maxExtent), requireRange(p, "channels", 1, p["C"])});
}

static LaunchShape shape(const Params &, std::span<const Scalar> scalars) {
  LaunchShape shape;
  shape.block[0] = 256; // one block per token
  shape.grid[0] = blocksFor(extent(scalars[1]), 1);
  return shape;
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t n = extent(scalars[1]), C = p["C"], channels = p["channels"];
  return {n * (4 * C * sizeOf(p.type("T")) + 8) + channels * sizeOf(p.type("T")) + 12, n * (10 * C + 2 * channels)};
}

static double tolerance(const Params &p) {
  return roundingOf(p.type("T")) + reductionOf(p["C"]) + reductionOf(p["channels"]);
}

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  const uint64_t n = extent(scalars[1]), layers = extent(scalars[0]) + 1, y = elementCount(n, p["C"]);
  return {n, n, elementCount(limits.vocab, p["C"]), static_cast<uint64_t>(p["channels"]), 1, layers, layers, y, y};
}

const Family family = {"embed_smear_mix",
                       {{"T", true}, {"C"}, {"channels"}},
                       {{"tokens", ArgKind::In, "i32"},
                        {"prev", ArgKind::In, "i32"},
                        {"table", ArgKind::In, "T"},
                        {"gate", ArgKind::In, "T"},
                        {"lambda", ArgKind::In, "f32"},
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

} // namespace kernels::embed_smear_mix
