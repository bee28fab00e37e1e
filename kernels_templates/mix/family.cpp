#include "kernels_templates/common/describe.h"

namespace kernels::mix {

static std::string constraint(const Params &p) { return requireFloat(p, "T"); }

static LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  uint64_t lanes = 16 / sizeOf(p.type("T"));
  return threadsFor((extent(scalars[1]) + lanes - 1) / lanes);
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t count = extent(scalars[1]);
  return {3 * count * sizeOf(p.type("T")) + 8, 3 * count};
}

static double tolerance(const Params &p) { return roundingOf(p.type("T")); }

static std::vector<uint64_t> extents(const Params &, std::span<const Scalar> scalars, const Limits &) {
  uint64_t count = extent(scalars[1]);
  uint64_t layers = extent(scalars[0]) + 1;
  return {count, count, layers, layers, count};
}

const Family family = {"mix",
                       {{"T", true}},
                       {{"x", ArgKind::In, "T"},
                        {"x0", ArgKind::In, "T"},
                        {"resid", ArgKind::In, "f32"},
                        {"skip", ArgKind::In, "f32"},
                        {"y", ArgKind::Out, "T"},
                        {"layer", ArgKind::I32},
                        {"count", ArgKind::I32}},
                       constraint,
                       shape,
                       cost,
                       tolerance,
                       extents};

} // namespace kernels::mix
