#include "kernels_templates/common/describe.h"

namespace kernels::softcap {

static std::string constraint(const Params &p) {
  return firstOf({requireRange(p, "Vp", 1, maxExtent), requireRange(p, "V", 1, p["Vp"])});
}

static LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  int lanes = std::min(vectorWidth(p["V"], 4), vectorWidth(p["Vp"], 4));
  return threadsFor(extent(scalars[1]) * (p["V"] / lanes));
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t elements = extent(scalars[1]) * p["V"];
  return {8 * elements, 3 * elements}; // divide, tanh, multiply
}

static double tolerance(const Params &) { return roundingOf(DType::F32); }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &) {
  uint64_t n = extent(scalars[1]);
  return {elementCount(n, p["Vp"]), elementCount(n, p["V"])};
}

const Family family = {
    "softcap",
    {{"V"}, {"Vp"}},
    {{"z", ArgKind::In, "f32"}, {"y", ArgKind::Out, "f32"}, {"cap", ArgKind::F32}, {"n", ArgKind::I32}},
    constraint,
    shape,
    cost,
    tolerance,
    extents};

} // namespace kernels::softcap
