#include "kernels_templates/common/gemm.h"

namespace kernels::gemm_mix {

static LaunchShape shape(const Params &p, std::span<const Scalar> scalars) { return gemmShape(p, extent(scalars[1])); }

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  return productCost(p, extent(scalars[1]), 3 * sizeOf(p.type("T")), 4);
}

static double tolerance(const Params &p) { return roundingOf(p.type("T")) + productReduction(p); }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &) {
  const uint64_t n = extent(scalars[1]);
  const uint64_t x = elementCount(n, p["K"]), w = elementCount(p["N"], p["K"]), y = elementCount(n, p["N"]);
  const uint64_t layers = extent(scalars[0]) + 1;
  return {x, w, y, y, layers, layers, y};
}

const Family family = {"gemm_mix",
                       {{"T", true}, {"K"}, {"N"}, {"tile_m"}, {"tile_n"}},
                       {{"x", ArgKind::In, "T"},
                        {"w", ArgKind::In, "T"},
                        {"r", ArgKind::In, "T"},
                        {"x0", ArgKind::In, "T"},
                        {"resid", ArgKind::In, "f32"},
                        {"skip", ArgKind::In, "f32"},
                        {"y", ArgKind::Out, "T"},
                        {"layer", ArgKind::I32},
                        {"n", ArgKind::I32}},
                       gemmConstraint,
                       shape,
                       cost,
                       tolerance,
                       extents,
                       true,
                       true,
                       nullptr,
                       {},
                       productFallback};

} // namespace kernels::gemm_mix
