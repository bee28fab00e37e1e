#include "kernels_templates/common/describe.h"

namespace kernels::linear {

static std::string constraint(const Params &p) {
  return firstOf({requireFloat(p, "T"), requireFloat(p, "O"), requireRange(p, "K", 1, maxExtent),
                  requireRange(p, "N", 1, maxExtent)});
}

static LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  uint64_t n = extent(scalars[0]);
  LaunchShape shape;
  shape.block[0] = 256;
  if (n <= 8) { // one warp per output column
    shape.grid[0] = blocksFor(p["N"], 8);
  } else { // tiles of 64 x 64
    shape.grid[0] = blocksFor(p["N"], 64);
    shape.grid[1] = blocksFor(n, 64);
  }
  return shape;
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t n = extent(scalars[0]), k = p["K"], columns = p["N"];
  return {(n + columns) * k * sizeOf(p.type("T")) + n * columns * sizeOf(p.type("O")), 2 * n * columns * k};
}

static double tolerance(const Params &p) { return roundingOf(p.type("O")) + reductionOf(p["K"]); }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &) {
  uint64_t n = extent(scalars[0]);
  return {elementCount(n, p["K"]), elementCount(p["N"], p["K"]), elementCount(n, p["N"])};
}

const Family family = {
    "linear",
    {{"T", true}, {"O", true}, {"K"}, {"N"}},
    {{"x", ArgKind::In, "T"}, {"w", ArgKind::In, "T"}, {"y", ArgKind::Out, "O"}, {"n", ArgKind::I32}},
    constraint,
    shape,
    cost,
    tolerance,
    extents};

} // namespace kernels::linear
