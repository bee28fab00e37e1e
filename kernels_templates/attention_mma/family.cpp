#include "kernels_templates/common/describe.h"

namespace kernels::attention_mma {

// As MmaShared of kernel.cuh: queries, keys and values, their rows padded unless they are whole 128 bytes; tiles, and
// how far queries see.
static uint64_t sharedBytes(const Params &p) {
  const uint64_t stages = p["stages"], rowBytes = 2 * p["D"] + (p["D"] % 64 == 0 ? 0 : 16);
  const uint64_t bytes =
      (p["tile_q"] + 2 * stages * p["tile_k"]) * rowBytes + (stages + 1) * 32 + p["tile_q"] * 12 + p["tile_q"] / 8;
  return (bytes + 127) / 128 * 128;
}

/// A block's most on sm_86, sm_89 and sm_120, which have the least.
constexpr uint64_t maxSharedBytes = 99 << 10;

static std::string constraint(const Params &p) {
  std::string violated = firstOf({requireBf16(p, "T"), requireRange(p, "D", 16, 128), requireMultiple(p, "D", 16, "16"),
                                  attention::family.constraint(p), requireRange(p, "tile_q", 64, 128),
                                  requireMultiple(p, "tile_q", 64, "64"), requireRange(p, "tile_k", 32, 64),
                                  requireMultiple(p, "tile_k", 32, "32"), requireRange(p, "stages", 1, 4)});
  if (!violated.empty())
    return violated;
  return requireShared(p, "stages", sharedBytes(p), maxSharedBytes);
}

static LaunchShape shape(const Params &p, std::span<const Scalar> scalars) {
  LaunchShape shape;
  shape.block[0] = static_cast<uint32_t>(2 * p["tile_q"]); // a warp for 16 queries
  shape.grid[0] = blocksFor(elementCount(blocksFor(extent(scalars[2]), p["tile_q"]), p["heads"]), 1);
  shape.sharedBytes = static_cast<uint32_t>(sharedBytes(p));
  return shape;
}

static Cost cost(const Params &p, std::span<const Scalar> scalars) { return attention::family.cost(p, scalars); }

// The weights are rounded to bf16 as attention_prefill's are, in the same place: see there.
static double tolerance(const Params &p) { return attention::family.tolerance(p) + roundingOf(DType::BF16) / 2; }

static std::vector<uint64_t> extents(const Params &p, std::span<const Scalar> scalars, const Limits &limits) {
  return attention::family.extents(p, scalars, limits);
}

const Family family = {"attention_mma",
                       {{"T", true}, {"heads"}, {"kv_heads"}, {"D"}, {"ring"}, {"tile_q"}, {"tile_k"}, {"stages"}},
                       {{"q", ArgKind::In, "T"},
                        {"k", ArgKind::In, "T"},
                        {"v", ArgKind::In, "T"},
                        {"kv", ArgKind::In, "T"},
                        {"rows", ArgKind::In, "i32"},
                        {"positions", ArgKind::In, "i32"},
                        {"starts", ArgKind::In, "i32"},
                        {"y", ArgKind::Out, "T"},
                        {"window", ArgKind::I32},
                        {"scale", ArgKind::F32},
                        {"n", ArgKind::I32}},
                       constraint,
                       shape,
                       cost,
                       tolerance,
                       extents,
                       false,
                       true};

} // namespace kernels::attention_mma
