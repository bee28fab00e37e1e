// What the descriptions of attention_batch and attention_batch_ve share.
#pragma once

#include "kernels_templates/attention_decode/shape.h"

namespace kernels::attention_batch {

/// Of a warp, as in common/decode_batch.cuh: a tile, the new position, queries.
inline uint64_t warpBytes(const Params &p) {
  return attention_decode::tileBytes(p) + 2 * p["D"] * sizeOf(p.type("T")) + 4 * attention_decode::queryFloats(p);
}
inline uint64_t warpsOf(const Params &p) {
  return std::min<uint64_t>(8, attention_decode::maxSharedBytes / warpBytes(p));
}

/// Floats of the partial results of all chunks that a head of a row may have: outputs and the sum of weights, and three
/// that keep each at 16 bytes. In step with BatchLayout::record.
inline uint64_t partialFloats(const Params &p) {
  const uint64_t chunk = p["chunk"];
  return (p["ring"] + chunk - 1) / chunk * (p["heads"] / p["kv_heads"]) * (p["D"] + 4);
}

inline std::string constraint(const Params &p) {
  return firstOf({requireBf16(p, "T"), requireFloat(p, "P"), attention_decode::groupConstraint(p),
                  requireRange(p, "D", 32, 256), requireMultiple(p, "D", 32, "32"),
                  requireRange(p, "ring", 1, maxExtent), requireRange(p, "chunk", 32, 1 << 16),
                  requireMultiple(p, "chunk", 32, "32"), requireRange(p, "blocks", 1, 1 << 12)});
}

inline LaunchShape shape(const Params &p, std::span<const Scalar>) {
  LaunchShape shape;
  shape.block[0] = static_cast<uint32_t>(32 * warpsOf(p));
  shape.grid[0] = static_cast<uint32_t>(p["blocks"]);
  shape.sharedBytes = static_cast<uint32_t>(warpsOf(p) * warpBytes(p));
  return shape;
}

/// As attention_decode's, and partial results there and back.
inline Cost cost(const Params &p, std::span<const Scalar> scalars) {
  Cost cost = attention_decode::cost(p, scalars);
  const uint64_t keys = std::min<uint64_t>(extent(scalars[1]) + 1, p["ring"]), chunk = p["chunk"];
  cost.bytes += 8 * extent(scalars[3]) * p["heads"] * ((keys + chunk - 1) / chunk) * (p["D"] + 1);
  return cost;
}

/// Of qkv, table, rows, positions, kv, `more`, counters, partials and y.
inline std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits,
                                     std::vector<uint64_t> more = {}) {
  const uint64_t heads = elementCount(extent(scalars[3]), p["kv_heads"]);
  more.insert(more.end(), {heads, elementCount(heads, partialFloats(p))});
  return attention_decode::extents(p, scalars, limits, more);
}

} // namespace kernels::attention_batch
