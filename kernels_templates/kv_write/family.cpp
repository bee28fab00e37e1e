#include "kernels_templates/common/describe.h"

namespace kernels::kv_write {

static std::string constraint(const Params &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "kv_heads", 1, maxExtent), requireRange(p, "D", 1, maxExtent),
                  requireRange(p, "ring", 1, maxExtent)});
}

static LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  return threadsFor(extent(scalars[0]) * p["kv_heads"] * (p["D"] / vectorWidth(p["D"], sizeOf(p.type("T")))));
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t n = extent(scalars[0]);
  return {n * (4 * p["kv_heads"] * p["D"] * sizeOf(p.type("T")) + 12), 0}; // k and v read and written
}

static double tolerance(const Params &) { return 0; } // a copy

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  uint64_t n = extent(scalars[0]);
  uint64_t keys = elementCount(n, p["kv_heads"], p["D"]);
  return {keys, keys, n, n, limits.rows, elementCount(limits.rows, 2, p["kv_heads"], p["ring"], p["D"])};
}

const Family family = {"kv_write",
                       {{"T", true}, {"kv_heads"}, {"D"}, {"ring"}},
                       {{"k", ArgKind::In, "T"},
                        {"v", ArgKind::In, "T"},
                        {"rows", ArgKind::In, "i32"},
                        {"positions", ArgKind::In, "i32"},
                        {"ends", ArgKind::In, "i32"},
                        {"kv", ArgKind::InOut, "T"},
                        {"n", ArgKind::I32}},
                       constraint,
                       shape,
                       cost,
                       tolerance,
                       extents};

} // namespace kernels::kv_write
