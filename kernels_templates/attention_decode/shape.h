// What the descriptions of attention_decode and attention_decode_ve share, and the compiler needs to size their
// buffers.
#pragma once

#include "kernels_templates/common/describe.h"

namespace kernels::attention_decode {

constexpr uint64_t threads = 128;

/// Blocks per row and head: the largest number of aligned chunks that the positions of one window touch. A window as
/// long as the ring is no window: there are no more than `ring` positions then.
inline uint64_t chunksOf(uint64_t window, uint64_t ring, uint64_t chunk) {
  return window >= ring ? (ring + chunk - 1) / chunk : (window + chunk - 1) / chunk + 1;
}

/// Scalars are mult, window, scale, n.
inline uint64_t chunksOf(const Params &p, std::span<const Scalar> scalars) {
  return chunksOf(extent(scalars[1]), p["ring"], p["chunk"]);
}

/// Keys and values of a chunk, queries, partial sums and weights, as in common/decode.cuh.
inline uint64_t sharedBytes(const Params &p) {
  uint64_t D = p["D"], chunk = p["chunk"], group = p["heads"] / p["kv_heads"], size = sizeOf(p.type("T"));
  uint64_t lanes = 1;
  while (lanes < D * size / 16 && lanes < 32)
    lanes *= 2;
  return 2 * chunk * D * size + 4 * (group * D + threads / lanes * D + group * chunk);
}

/// The most shared memory of a block on every target (sm_86: 99 KB), less the static part.
constexpr uint64_t maxSharedBytes = 96 << 10;

inline std::string constraint(const Params &p) {
  std::string violated = firstOf({requireFloat(p, "T"), requireFloat(p, "P"), requireRange(p, "kv_heads", 1, maxExtent),
                                  requireRange(p, "heads", 1, maxExtent),
                                  requireMultiple(p, "heads", std::max<int64_t>(1, p["kv_heads"]), "kv_heads"),
                                  requireRange(p, "D", 8, 512), requireMultiple(p, "D", 8, "8"),
                                  requireRange(p, "ring", 1, maxExtent), requireRange(p, "chunk", 1, 1024)});
  if (violated.empty() && sharedBytes(p) > maxSharedBytes)
    return "chunk is " + std::to_string(p["chunk"]) + ", which takes " + std::to_string(sharedBytes(p)) +
           " bytes of shared memory; " + std::to_string(maxSharedBytes) + " work";
  return violated;
}

inline LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  LaunchShape shape;
  shape.block[0] = threads;
  shape.grid[0] = blocksFor(elementCount(extent(scalars[3]), p["kv_heads"], chunksOf(p, scalars)), 1);
  shape.sharedBytes = static_cast<uint32_t>(sharedBytes(p));
  return shape;
}

/// Every window counts as full: positions are unknown here.
inline Cost cost(const Params &p, std::span<const Scalar> scalars) {
  uint64_t n = extent(scalars[3]), heads = p["heads"], kvHeads = p["kv_heads"], D = p["D"];
  uint64_t keys = std::min<uint64_t>(extent(scalars[1]) + 1, p["ring"]);
  uint64_t size = sizeOf(p.type("T"));
  return {n * ((2 * heads + 4 * kvHeads) * D * size + 2 * kvHeads * (keys - 1) * D * size + D * sizeOf(p.type("P")) +
               8 + 8 * kvHeads + 8 * chunksOf(p, scalars) * heads * (D + 2)),
          n * heads * D * (4 * keys + 6)};
}

/// As attention's; in bf16 a new key may also round to the neighbour of the other side's.
inline double tolerance(const Params &p) {
  return 2 * roundingOf(p.type("T")) + 2 * reductionOf(p["D"]) + reductionOf(std::min<int64_t>(p["ring"], 4096));
}

/// Of qkv, table, rows, positions, kv and counters; partials and y come last.
inline std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits,
                                     std::vector<uint64_t> more = {}) {
  uint64_t n = extent(scalars[3]), heads = p["heads"], kvHeads = p["kv_heads"], D = p["D"];
  std::vector<uint64_t> result = {elementCount(n, heads + 2 * kvHeads, D),
                                  elementCount(limits.positions, D),
                                  n,
                                  n,
                                  elementCount(limits.rows, 2, kvHeads, p["ring"], D),
                                  elementCount(n, kvHeads)};
  result.insert(result.end(), more.begin(), more.end());
  result.push_back(elementCount(n, heads, chunksOf(p, scalars), D + 2));
  result.push_back(elementCount(n, heads, D));
  return result;
}

} // namespace kernels::attention_decode
