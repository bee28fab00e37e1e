// What the descriptions of attention_decode_qkv and attention_decode_qkv_ve share.
#pragma once

#include "kernels_templates/attention_decode/shape.h"
#include "kernels_templates/common/gemv.h"

namespace kernels::attention_decode_qkv {

/// Outputs of a cluster: q of its heads, k and v.
inline uint64_t outputsOf(const Params &p) { return (p["heads"] / p["kv_heads"] + 2) * p["D"]; }

/// Stages of weights that a block needs at most: all it multiplies. A lane initialises each.
inline int64_t mostStages(const Params &p) {
  return static_cast<int64_t>(std::min<uint64_t>(32, outputsOf(p) / p["cluster"] / 8 * gemvChunks(p["C"])));
}

/// Those of attention_decode; before them weights, the warps' sums and the heads, as in common/decode_heads.cuh.
inline uint64_t sharedBytes(const Params &p) {
  return p["stages"] * 8 * gemvPitch(p["C"]) + gemvWarps * gemvTiles * 8 * 4 + outputsOf(p) * 4 +
         attention_decode::sharedBytes(p);
}

inline std::string constraint(const Params &p) {
  if (p.type("T") != DType::BF16)
    return "T must be bf16";
  std::string violated =
      firstOf({attention_decode::constraint(p), requireRange(p, "D", 32, 256), requireMultiple(p, "D", 32, "32"),
               requireRange(p, "C", 8, maxExtent), requireMultiple(p, "C", 8, "8"), requireRange(p, "norm", 0, 1)});
  if (!violated.empty())
    return violated;
  if (outputsOf(p) % (8 * p["cluster"])) // a tile of weights is eight rows of one block and one head
    return "cluster is " + std::to_string(p["cluster"]) + ", which does not divide " + std::to_string(outputsOf(p)) +
           " outputs into whole eights; 1 works";
  return requireRange(p, "stages", 1, mostStages(p));
}

inline LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  LaunchShape shape = attention_decode::shape(p, scalars);
  shape.block[0] = 32 * (gemvWarps + 1);
  shape.sharedBytes = static_cast<uint32_t>(sharedBytes(p));
  return shape;
}

/// In place of reading q, k and v.
inline Cost cost(const Params &p, std::span<const Scalar> scalars) {
  const uint64_t n = extent(scalars[3]), outputs = (p["heads"] + 2 * p["kv_heads"]) * p["D"], C = p["C"];
  const uint64_t size = sizeOf(p.type("T"));
  Cost cost = attention_decode::cost(p, scalars);
  cost.bytes += (outputs + n) * C * size - n * outputs * size;
  cost.flops += 2 * n * outputs * C;
  return cost;
}

/// An error of q or k moves scores by as much of them, one of v the result.
inline double tolerance(const Params &p) { return attention_decode::tolerance(p) + 2 * reductionOf(p["C"]); }

/// Of w, table, rows, positions, kv, x, `more` and y.
inline std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits,
                                     std::vector<uint64_t> more) {
  std::vector<uint64_t> result = attention_decode::extents(p, scalars, limits, more);
  result[0] = elementCount(p["heads"] + 2 * p["kv_heads"], p["D"], p["C"]);
  return result;
}

} // namespace kernels::attention_decode_qkv
