#include "kernels_templates/attention/attention.h"
#include "kernels_templates/attention/chunk_mma_layout.h"

namespace kernels {

/// A block's most on sm_86, sm_89 and sm_120, which have the least.
constexpr uint64_t mostShared = 99 << 10;

static ChunkMmaLayout layoutOf(const Values &p) {
  auto of = [&](std::string_view name) { return static_cast<int>(p[name]); };
  return {of("D"), of("tile_q"), of("tile_k"), of("stages")};
}

static std::string constraint(const Values &p) {
  std::string violated = firstOf({requireBf16(p, "T"), requireRange(p, "D", 16, 128), requireMultiple(p, "D", 16, "16"),
                                  requireRange(p, "tile_q", 64, 128), requireMultiple(p, "tile_q", 64, "64"),
                                  requireRange(p, "tile_k", 32, 64), requireMultiple(p, "tile_k", 32, "32"),
                                  requireRange(p, "stages", 1, 4)});
  if (!violated.empty())
    return violated;
  return requireShared(p, "stages", static_cast<uint64_t>(layoutOf(p).sharedBytes), mostShared);
}

static LaunchShape shape(const Values &v) {
  const ChunkMmaLayout layout = layoutOf(v);
  return blockEach(elementCount(blocksFor(v.count("n"), v.count("tile_q")), v.count("heads")),
                   static_cast<uint32_t>(layout.threads), static_cast<uint32_t>(layout.sharedBytes));
}

// The weights are rounded to bf16 as those of chunk_wgmma.cpp are, in the same place: see there.
static double moreTolerance(const Values &) { return roundingOf(DType::BF16) / 2; }

const Engine chunkMma = {.name = "mma",
                         .header = "attention/chunk_mma.cuh",
                         .body = "chunkMma",
                         .params = {{"tile_q"}, {"tile_k"}, {"stages"}},
                         .constraint = constraint,
                         .shape = shape,
                         .moreTolerance = moreTolerance,
                         .tensorCores = true};

} // namespace kernels
