#include "kernels_templates/common/describe.h"

namespace kernels::nll {

static std::string constraint(const Params &p) { return requireRange(p, "V", 1, maxExtent); }

static LaunchShape shape(const Params &, std::span<const Scalar> scalars) {
  LaunchShape shape;
  shape.block[0] = 512; // one block per row
  shape.grid[0] = blocksFor(extent(scalars[0]), 1);
  return shape;
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t n = extent(scalars[0]);
  return {n * (4 * p["V"] + 8), 3 * n * p["V"]}; // subtract, exp, add
}

// The sum's terms are all positive: its relative error becomes an absolute one of the logarithm.
static double tolerance(const Params &p) { return roundingOf(DType::F32) + reductionOf(p["V"]); }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  uint64_t n = extent(scalars[0]), V = p["V"];
  // A target picks a column below the vocabulary, which in the last row may lie past a narrower V.
  uint64_t touched = n == 0 ? 0 : elementCount(n - 1, V) + std::max(V, limits.vocab);
  return {touched, n, n};
}

const Family family = {
    "nll",
    {{"V"}},
    {{"logits", ArgKind::In, "f32"}, {"targets", ArgKind::In, "i32"}, {"y", ArgKind::Out, "f32"}, {"n", ArgKind::I32}},
    constraint,
    shape,
    cost,
    tolerance,
    extents};

} // namespace kernels::nll
