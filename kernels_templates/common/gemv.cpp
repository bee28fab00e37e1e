#include "kernels_templates/common/gemv.h"

namespace kernels {

// As in common/gemv.cuh.
constexpr uint64_t sms = 132, warps = 8, heldTiles = 5, ringAndPartials = 96 << 10;

static uint64_t ceilDiv(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

std::string gemvConstraint(const Params &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "K", 1, maxExtent), requireRange(p, "N", 1, maxExtent),
                  requireRange(p, "M", 1, gemvRows)});
}

static uint64_t chunkOf(uint64_t k) {
  const uint64_t least = ceilDiv(k, k > 3840 ? 1024 : 1280);
  for (uint64_t chunks = least; chunks < least + 3; ++chunks)
    if (k % (chunks * 256) == 0)
      return k / chunks;
  return ceilDiv(ceilDiv(k, least), 256) * 256;
}

LaunchShape gemvShape(const Params &p) {
  const uint64_t columns = ceilDiv(p["N"], sms), k = p["K"], rows = p["M"];
  LaunchShape shape;
  shape.block[0] = 32 * (warps + 1);
  shape.grid[0] = blocksFor(p["N"], columns);
  if (p.type("T") == DType::BF16 && productFallback(p).empty()) {
    const uint64_t chunk = chunkOf(k), pitch = chunk * 2 + 64;
    const uint64_t tiles = ceilDiv(columns, 8), width = ceilDiv(columns, tiles);
    const uint64_t held = ceilDiv(tiles, ceilDiv(tiles, heldTiles));
    const uint64_t partials = warps * rows * 8 * 4 * held;
    const uint64_t room = (ringAndPartials - partials) / (width * pitch);
    const uint64_t stages = std::min({tiles * ceilDiv(k, chunk), room, uint64_t(32)});
    shape.sharedBytes = static_cast<uint32_t>(stages * width * pitch + partials);
  }
  return shape;
}

} // namespace kernels
