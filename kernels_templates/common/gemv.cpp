#include "kernels_templates/common/gemv.h"

namespace kernels {

std::string gemvConstraint(const Params &p) {
  return firstOf({requireFloat(p, "T"), requireRange(p, "K", 1, maxExtent), requireRange(p, "N", 1, maxExtent),
                  requireRange(p, "M", 1, gemvRows)});
}

LaunchShape gemvShape(const Params &p) {
  constexpr uint64_t sms = 132, warps = 8;
  LaunchShape shape;
  shape.block[0] = 32 * warps;
  shape.grid[0] = sms;
  const uint64_t columns = p["N"];
  if (columns < sms * warps * 8) {
    const uint64_t perBlock = (columns + sms - 1) / sms, rounds = (perBlock + 7) / 8;
    shape.grid[0] = blocksFor(columns, (perBlock + rounds - 1) / rounds * rounds);
  }
  return shape;
}

} // namespace kernels
