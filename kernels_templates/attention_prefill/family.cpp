#include "kernels_templates/common/describe.h"

namespace kernels::attention_prefill {

// As PrefillShared of common/prefill_keys.cuh: queries of two items and their reach, keys, values; per stage a tile's
// place and item, and four barriers; six of the queries, one of values that are cleaned, and its phase.
static uint64_t sharedBytes(const Params &p) {
  const uint64_t stages = p["stages"], rows = 2 * p["tile_q"] + 2 * stages * p["tile_k"];
  return rows * p["D"] * 2 + 2 * p["tile_q"] * 16 + stages * (16 + 4 + 4 * 8) + 4 + 6 * 8 + 8 + 8;
}

/// A block's most on sm_90.
constexpr uint64_t maxSharedBytes = 227 << 10;

static std::string constraint(const Params &p) {
  std::string violated = firstOf({requireBf16(p, "T"), requireRange(p, "D", 32, 128), requireMultiple(p, "D", 32, "32"),
                                  attention::family.constraint(p), requireRange(p, "tile_q", 64, 128),
                                  requireMultiple(p, "tile_q", 64, "64"), requireRange(p, "tile_k", 64, 128),
                                  requireMultiple(p, "tile_k", 64, "64"), requireRange(p, "stages", 1, 8),
                                  requireRange(p, "blocks", 1, 1 << 12)});
  if (!violated.empty())
    return violated;
  return requireShared(p, "stages", sharedBytes(p), maxSharedBytes);
}

static LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  LaunchShape shape;
  shape.block[0] = static_cast<uint32_t>(128 + 2 * p["tile_q"]); // the producer's warpgroup, then one for 64 queries
  const uint64_t items = elementCount(blocksFor(extent(scalars[2]), p["tile_q"]), p["heads"]);
  shape.grid[0] = static_cast<uint32_t>(std::min<uint64_t>(items, p["blocks"]));
  shape.sharedBytes = static_cast<uint32_t>(sharedBytes(p));
  return shape;
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) { return attention::family.cost(p, scalars); }

// As attention's, and the weights are rounded to bf16, each by at most 2^-9 of itself, while their sum is not. An
// output is sum(w v) / sum(w): its error is a sum of the same terms, each times a number below 2^-9 that has either
// sign, so that it has the output's own spread times 2^-9 / sqrt(3). Four and a half times that, which one output in
// 10^5 exceeds, and only where the output is as large as the largest: 2^-8 of it.
static double tolerance(const Params &p) { return attention::family.tolerance(p) + roundingOf(DType::BF16) / 2; }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  std::vector<uint64_t> extents = attention::family.extents(p, scalars, limits);
  extents.insert(extents.end() - 1, 1); // the counter
  return extents;
}

// Boxes of the rows of a tile, and of as many columns as the swizzle has bytes: 64 or 32.
static std::vector<TensorMap> maps(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  const uint64_t n = std::max<uint64_t>(1, extent(scalars[2])), D = p["D"], ring = p["ring"], kvHeads = p["kv_heads"];
  const uint64_t heads = p["heads"];
  const uint32_t width = D % 64 == 0 ? 64 : 32, swizzle = 2 * width;
  const auto queries = static_cast<uint32_t>(p["tile_q"]), keys = static_cast<uint32_t>(p["tile_k"]);
  const TensorMap chunk = {{D, kvHeads, n}, {2 * D, 2 * D * kvHeads}, {width, 1, keys}, swizzle};
  const uint64_t planes = elementCount(limits.rows, 2, kvHeads); // keys or values of a head of a row
  return {{{D, heads, n}, {2 * D, 2 * D * heads}, {width, 1, queries}, swizzle},
          chunk,
          chunk,
          {{D, ring, std::clamp<uint64_t>(planes, 1, INT32_MAX)}, {2 * D, 2 * D * ring}, {width, keys, 1}, swizzle}};
}

const Family family = {
    "attention_prefill",
    {{"T", true}, {"heads"}, {"kv_heads"}, {"D"}, {"ring"}, {"tile_q"}, {"tile_k"}, {"stages"}, {"blocks"}},
    {{"q", ArgKind::In, "T", true},
     {"k", ArgKind::In, "T", true},
     {"v", ArgKind::In, "T", true},
     {"kv", ArgKind::In, "T", true},
     {"rows", ArgKind::In, "i32"},
     {"positions", ArgKind::In, "i32"},
     {"starts", ArgKind::In, "i32"},
     {"counters", ArgKind::InOut, "u32"},
     {"y", ArgKind::Out, "T"},
     {"window", ArgKind::I32},
     {"scale", ArgKind::F32},
     {"n", ArgKind::I32}},
    constraint,
    shape,
    cost,
    tolerance,
    extents,
    true,
    true,
    maps,
    "sm_90a"};

} // namespace kernels::attention_prefill
