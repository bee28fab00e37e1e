#include "kernels_templates/common/gemv.h"

namespace kernels::gemv_mix {

static LaunchShape shape(const Params &p, std::span<const Scalar>) { return gemvShape(p); }

static Cost cost(const Params &p, std::span<const Scalar>) {
  return productCost(p, p["M"], 3 * sizeOf(p.type("T")), 4);
}

static double tolerance(const Params &p) { return roundingOf(p.type("T")) + productReduction(p); }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &) {
  const uint64_t x = elementCount(p["M"], p["K"]), w = elementCount(p["N"], p["K"]), y = elementCount(p["M"], p["N"]);
  const uint64_t layers = extent(scalars[0]) + 1;
  return {x, w, y, y, layers, layers, y};
}

const Family family = {"gemv_mix",
                       {{"T", true}, {"K"}, {"N"}, {"M"}},
                       {{"x", ArgKind::In, "T"},
                        {"w", ArgKind::In, "T"},
                        {"r", ArgKind::In, "T"},
                        {"x0", ArgKind::In, "T"},
                        {"resid", ArgKind::In, "f32"},
                        {"skip", ArgKind::In, "f32"},
                        {"y", ArgKind::Out, "T"},
                        {"layer", ArgKind::I32}},
                       gemvConstraint,
                       shape,
                       cost,
                       tolerance,
                       extents,
                       true,
                       true,
                       nullptr,
                       {},
                       productFallback};

} // namespace kernels::gemv_mix
