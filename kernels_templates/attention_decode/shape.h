// What the descriptions of attention_decode and attention_decode_ve share.
#pragma once

#include "kernels_templates/common/describe.h"

namespace kernels::attention_decode {

// As in common/decode_chunk.cuh and common/decode.cuh.
constexpr uint64_t tileSlots = 32, maxWarps = 4;

inline uint64_t tilesOf(uint64_t ring) { return (ring + tileSlots - 1) / tileSlots; }

/// Why heads of bf16 miss the tensor cores; empty if they do not. Keep in step with DecodeLayout::tensor.
inline std::string fallback(const Params &p) {
  return p.type("T") == DType::BF16 ? firstOf({requireRange(p, "D", 32, 256), requireMultiple(p, "D", 32, "32")}) : "";
}

/// A tile of keys and values, the rows of eight groups padded.
inline uint64_t tileBytes(const Params &p) { return 2 * tileSlots * p["D"] * sizeOf(p.type("T")) + 8 * (64 + 16); }

/// Floats of a group's queries.
inline uint64_t queryFloats(const Params &p) {
  const bool tensor = p.type("T") == DType::BF16 && fallback(p).empty();
  return p["heads"] / p["kv_heads"] * (p["D"] + (tensor ? 8 : 0));
}

/// Tiles under way, the new position, queries, and partial results.
inline uint64_t sharedBytes(const Params &p) {
  const uint64_t D = p["D"], cluster = p["cluster"], group = p["heads"] / p["kv_heads"], size = sizeOf(p.type("T"));
  const bool tensor = p.type("T") == DType::BF16 && fallback(p).empty();
  const uint64_t local = (tilesOf(p["ring"]) + cluster - 1) / cluster, warps = std::min(local, maxWarps);
  const uint64_t room = std::max<uint64_t>(1, (72 << 10) / (tileBytes(p) * warps));
  const uint64_t slots = std::min((local + warps - 1) / warps, room), partials = warps * cluster;
  const uint64_t state = tensor ? 0 : warps * group * (D + 1);
  return warps * slots * tileBytes(p) + 2 * D * size +
         4 * (queryFloats(p) + partials * group + partials * group * D / cluster + state);
}

/// The most shared memory of a block on every target (sm_86: 99 KB), less the static part.
constexpr uint64_t maxSharedBytes = 96 << 10;

/// Query heads share those of keys and values, eight at most.
inline std::string groupConstraint(const Params &p) {
  std::string violated = firstOf({requireRange(p, "kv_heads", 1, maxExtent), requireRange(p, "heads", 1, maxExtent),
                                  requireMultiple(p, "heads", std::max<int64_t>(1, p["kv_heads"]), "kv_heads")});
  if (!violated.empty())
    return violated;
  const int64_t group = p["heads"] / p["kv_heads"];
  if (group > 8)
    return "heads is " + std::to_string(p["heads"]) + ", which are " + std::to_string(group) +
           " for each of kv_heads; " + std::to_string(8 * p["kv_heads"]) + " works";
  return {};
}

inline std::string constraint(const Params &p) {
  std::string violated = firstOf({requireFloat(p, "T"), requireFloat(p, "P"), groupConstraint(p),
                                  requireRange(p, "D", 8, 512), requireMultiple(p, "D", 8, "8"),
                                  requireRange(p, "ring", 1, maxExtent), requireRange(p, "cluster", 1, 8)});
  if (!violated.empty())
    return violated;
  if (p["D"] % p["cluster"])
    return "cluster is " + std::to_string(p["cluster"]) + ", which does not divide D; 1 works";
  return requireShared(p, "D", sharedBytes(p), maxSharedBytes);
}

inline LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  LaunchShape shape;
  shape.block[0] = 32 * maxWarps;
  shape.grid[0] = blocksFor(elementCount(extent(scalars[3]), p["kv_heads"], p["cluster"]), 1);
  shape.cluster = static_cast<uint32_t>(p["cluster"]);
  shape.sharedBytes = static_cast<uint32_t>(sharedBytes(p));
  return shape;
}

/// Every window counts as full: positions are unknown here.
inline Cost cost(const Params &p, std::span<const Scalar> scalars) {
  const uint64_t n = extent(scalars[3]), heads = p["heads"], kvHeads = p["kv_heads"], D = p["D"];
  const uint64_t keys = std::min<uint64_t>(extent(scalars[1]) + 1, p["ring"]), size = sizeOf(p.type("T"));
  return {
      n * ((2 * heads + 4 * kvHeads) * D * size + 2 * kvHeads * (keys - 1) * D * size + D * sizeOf(p.type("P")) + 8),
      n * heads * D * (4 * keys + 6)};
}

/// As attention's; in bf16 a new key may also round to the neighbour of the other side's.
inline double tolerance(const Params &p) {
  return 2 * roundingOf(p.type("T")) + 2 * reductionOf(p["D"]) + reductionOf(std::min<int64_t>(p["ring"], 4096));
}

/// Of qkv, table, rows, positions, kv, `more` and y.
inline std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits,
                                     const std::vector<uint64_t> &more = {}) {
  const uint64_t n = extent(scalars[3]), heads = p["heads"], kvHeads = p["kv_heads"], D = p["D"];
  std::vector<uint64_t> result = {elementCount(n, heads + 2 * kvHeads, D), elementCount(limits.positions, D), n, n,
                                  elementCount(limits.rows, 2, kvHeads, p["ring"], D)};
  result.insert(result.end(), more.begin(), more.end());
  result.push_back(elementCount(n, heads, D));
  return result;
}

// The value gate of the _ve families: what comes on top.

inline std::string gateConstraint(const Params &p) {
  return firstOf({requireRange(p, "C", 1, maxExtent), requireRange(p, "channels", 1, p["C"])});
}

inline Cost withGate(Cost cost, const Params &p, std::span<const Scalar> scalars) {
  const uint64_t n = extent(scalars[3]), kvHeads = p["kv_heads"], D = p["D"], C = p["C"], channels = p["channels"];
  cost.bytes += (n * C + n * kvHeads * D + kvHeads * channels) * sizeOf(p.type("T")) + 4 * n;
  cost.flops += n * kvHeads * 2 * (C + channels + D);
  return cost;
}

inline double gateTolerance(const Params &p) { return tolerance(p) + reductionOf(p["C"]) + reductionOf(p["channels"]); }

/// Of x, tokens, embeds and gate.
inline std::vector<uint64_t> gateExtents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  const uint64_t n = extent(scalars[3]), kvHeads = p["kv_heads"];
  return {elementCount(n, p["C"]), n, elementCount(limits.vocab, kvHeads, p["D"]),
          elementCount(kvHeads, p["channels"])};
}

} // namespace kernels::attention_decode
