#include "kernels_templates/common/gemv.h"

namespace kernels::gemv_backout {

static LaunchShape shape(const Params &p, std::span<const Scalar>) { return gemvShape(p); }

static Cost cost(const Params &p, std::span<const Scalar>) {
  return productCost(p, p["M"], 3 * sizeOf(p.type("T")), 3);
}

static double tolerance(const Params &p) { return roundingOf(p.type("T")) + productReduction(p); }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar>, const Limits &) {
  const uint64_t x = elementCount(p["M"], p["K"]), w = elementCount(p["N"], p["K"]), y = elementCount(p["M"], p["N"]);
  return {x, w, y, y, 1, y};
}

const Family family = {"gemv_backout",
                       {{"T", true}, {"K"}, {"N"}, {"M"}},
                       {{"x", ArgKind::In, "T"},
                        {"w", ArgKind::In, "T"},
                        {"r", ArgKind::In, "T"},
                        {"mid", ArgKind::In, "T"},
                        {"lambda", ArgKind::In, "f32"},
                        {"y", ArgKind::Out, "T"}},
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

} // namespace kernels::gemv_backout
