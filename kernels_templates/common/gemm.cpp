#include "kernels_templates/common/gemm.h"

namespace kernels {

static std::string requireTile(const Params &p, std::string_view name) {
  const int64_t extent = p[name];
  if (extent == 32 || extent == 64 || extent == 128)
    return "";
  return std::string(name) + " is " + std::to_string(extent) + "; 32, 64 and 128 work";
}

std::string gemmConstraint(const Params &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "K", 1, maxExtent), requireRange(p, "N", 1, maxExtent),
                  requireTile(p, "tile_m"), requireTile(p, "tile_n")});
}

LaunchShape gemmShape(const Params &p, uint64_t rows) {
  const uint64_t height = p["tile_m"], width = p["tile_n"];
  LaunchShape shape;
  shape.block[0] = width == 128 ? 256 : 128;
  shape.grid[0] = blocksFor(elementCount(blocksFor(rows, height), blocksFor(p["N"], width)), 1);
  if (p.type("T") == DType::BF16 && productFallback(p).empty()) {
    const uint64_t stage = (height + width) * 128, most = 96 << 10; // as in gemm.cuh
    shape.sharedBytes = static_cast<uint32_t>(stage * std::min<uint64_t>(6, most / stage));
  }
  return shape;
}

} // namespace kernels
