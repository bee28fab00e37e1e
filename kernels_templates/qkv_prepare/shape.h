// What the descriptions of qkv_prepare and qkv_prepare_ve share, and the compiler asks before it fuses.
#pragma once

#include "kernels_templates/common/describe.h"

namespace kernels::qkv_prepare {

/// kv_heads: as many gates as 16 KB of static shared memory hold. D: rotated halves are held in registers.
inline std::string constraint(const Params &p) {
  return firstOf({requireFloat(p, "T"), requireFloat(p, "P"), requireRange(p, "heads", 1, 4096),
                  requireRange(p, "kv_heads", 1, 4096), requireRange(p, "D", 2, 512), requireMultiple(p, "D", 2, "2")});
}

/// Scalars are mult and n.
inline LaunchShape shape(const Params &, std::span<const Scalar> scalars) {
  LaunchShape shape;
  shape.block[0] = 128; // a block per token
  shape.grid[0] = blocksFor(extent(scalars[1]), 1);
  return shape;
}

inline Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t n = extent(scalars[1]), rotated = p["heads"] + p["kv_heads"], D = p["D"];
  return {n * (2 * (rotated + p["kv_heads"]) * D * sizeOf(p.type("T")) + D * sizeOf(p.type("P")) + 4),
          n * rotated * 6 * D};
}

inline double tolerance(const Params &p) { return roundingOf(p.type("T")) + reductionOf(p["D"]); }

/// Of qkv, table and positions; q, k and v come last.
inline std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits,
                                     std::vector<uint64_t> more = {}) {
  uint64_t n = extent(scalars[1]), heads = p["heads"], kvHeads = p["kv_heads"], D = p["D"];
  std::vector<uint64_t> result = {elementCount(n, heads + 2 * kvHeads, D), elementCount(limits.positions, D), n};
  result.insert(result.end(), more.begin(), more.end());
  const uint64_t keys = elementCount(n, kvHeads, D);
  result.insert(result.end(), {elementCount(n, heads, D), keys, keys});
  return result;
}

} // namespace kernels::qkv_prepare
