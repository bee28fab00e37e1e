#include "kernels_templates/common/describe.h"

namespace kernels::sample {

static std::string constraint(const Params &p) {
  return firstOf({requireRange(p, "Vp", 1, maxExtent), requireRange(p, "V", 1, p["Vp"])});
}

static LaunchShape shape(const Params &, std::span<const Scalar> scalars) {
  LaunchShape shape;
  shape.block[0] = 512; // one block per row
  shape.grid[0] = blocksFor(extent(scalars[1]), 1);
  return shape;
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t r = extent(scalars[1]);
  return {r * (4 * p["V"] + 12) + 32, r * p["V"]}; // greedy: one comparison an element
}

static double tolerance(const Params &) { return 0; } // an id

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &) {
  uint64_t r = extent(scalars[1]);
  return {elementCount(r, p["Vp"]), r, r, 8, r};
}

const Family family = {"sample",
                       {{"V"}, {"Vp"}},
                       {{"z", ArgKind::In, "f32"},
                        {"index", ArgKind::In, "i32"},
                        {"steps", ArgKind::In, "i32"},
                        {"sampling", ArgKind::In, "u32"},
                        {"next", ArgKind::Out, "i32"},
                        {"cap", ArgKind::F32},
                        {"r", ArgKind::I32}},
                       constraint,
                       shape,
                       cost,
                       tolerance,
                       extents};

} // namespace kernels::sample
