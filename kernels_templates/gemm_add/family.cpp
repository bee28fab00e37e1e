#include "kernels_templates/common/gemm.h"

namespace kernels::gemm_add {

static LaunchShape shape(const Params &p, std::span<const Scalar> scalars) { return gemmShape(p, extent(scalars[0])); }

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  return productCost(p, extent(scalars[0]), 2 * sizeOf(p.type("T")), 1);
}

static double tolerance(const Params &p) { return roundingOf(p.type("T")) + productReduction(p); }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &) {
  const uint64_t n = extent(scalars[0]);
  const uint64_t x = elementCount(n, p["K"]), w = elementCount(p["N"], p["K"]), y = elementCount(n, p["N"]);
  return {x, w, y, y};
}

const Family family = {"gemm_add",
                       {{"T", true}, {"K"}, {"N"}, {"tile_m"}, {"tile_n"}},
                       {{"x", ArgKind::In, "T"},
                        {"w", ArgKind::In, "T"},
                        {"r", ArgKind::In, "T"},
                        {"y", ArgKind::Out, "T"},
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

} // namespace kernels::gemm_add
