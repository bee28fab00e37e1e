#include "kernels_templates/common/describe.h"
#include "kernels_templates/sample/shape.h"

namespace kernels::sample {

static std::string constraint(const Params &p) {
  return firstOf({requireRange(p, "Vp", 1, maxExtent), requireRange(p, "V", 1, p["Vp"])});
}

static LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  LaunchShape shape;
  shape.block[0] = threads;
  const uint64_t rows = extent(scalars[1]);
  shape.grid[0] = blocksFor(elementCount(rows, slicesOf(p["V"], rows)), 1);
  return shape;
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t r = extent(scalars[1]), V = p["V"];
  // Greedy: one comparison an element, and eight bytes there and back from each block.
  return {r * (4 * V + 16 * slicesOf(V, r) + 20) + 32, r * V};
}

static double tolerance(const Params &) { return 0; } // an id

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &) {
  uint64_t r = extent(scalars[1]);
  return {elementCount(r, p["Vp"]), r, r, 8, r, elementCount(r, partialWords(p["V"], r)), r};
}

const Family family = {"sample",
                       {{"V"}, {"Vp"}},
                       {{"z", ArgKind::In, "f32"},
                        {"index", ArgKind::In, "i32"},
                        {"steps", ArgKind::In, "i32"},
                        {"sampling", ArgKind::In, "u32"},
                        {"counters", ArgKind::InOut, "u32"},
                        {"partials", ArgKind::Scratch, "f32"},
                        {"next", ArgKind::Out, "i32"},
                        {"cap", ArgKind::F32},
                        {"r", ArgKind::I32}},
                       constraint,
                       shape,
                       cost,
                       tolerance,
                       extents,
                       true};

} // namespace kernels::sample
