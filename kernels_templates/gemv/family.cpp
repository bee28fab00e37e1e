#include "kernels_templates/common/gemv.h"

namespace kernels::gemv {

static std::string constraint(const Params &p) {
  return firstOf(
      {gemvConstraint(p), requireFloat(p, "O"), requireRange(p, "norm", 0, 1), requireRange(p, "relu2", 0, 1)});
}

static LaunchShape shape(const Params &p, std::span<const Scalar>) { return gemvShape(p); }

static Cost cost(const Params &p, std::span<const Scalar>) { return productCost(p, p["M"], sizeOf(p.type("O")), 3); }

// A square doubles a relative error.
static double tolerance(const Params &p) { return 2 * (roundingOf(p.type("O")) + productReduction(p)); }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar>, const Limits &) {
  const uint64_t x = elementCount(p["M"], p["K"]), w = elementCount(p["N"], p["K"]), y = elementCount(p["M"], p["N"]);
  return {x, w, y};
}

const Family family = {"gemv",
                       {{"T", true}, {"O", true}, {"K"}, {"N"}, {"M"}, {"norm"}, {"relu2"}},
                       {{"x", ArgKind::In, "T"}, {"w", ArgKind::In, "T"}, {"y", ArgKind::Out, "O"}},
                       constraint,
                       shape,
                       cost,
                       tolerance,
                       extents,
                       true,
                       true,
                       nullptr,
                       {},
                       productFallback};

} // namespace kernels::gemv
