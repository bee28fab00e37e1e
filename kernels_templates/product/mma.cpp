#include "kernels_templates/product/mma_layout.h"
#include "kernels_templates/product/product.h"

namespace kernels {

static std::string requireTile(const Values &p, std::string_view name) {
  const int64_t extent = p[name];
  if (extent == 32 || extent == 64 || extent == 128)
    return "";
  return std::string(name) + " is " + std::to_string(extent) + "; 32, 64 and 128 work";
}

static std::string constraint(const Values &p) { return firstOf({requireTile(p, "tile_m"), requireTile(p, "tile_n")}); }

/// A block per tile of the outputs.
static LaunchShape shape(const Values &v) {
  const uint64_t height = v.count("tile_m"), width = v.count("tile_n");
  const MmaLayout layout(v["tile_m"], v["tile_n"]);
  const bool tensor = v.type("T") == DType::BF16 && productFallback(v).empty();
  return {.blocks = blocksFor(elementCount(blocksFor(v.count("n"), height), blocksFor(v.count("N"), width)), 1),
          .threads = static_cast<uint32_t>(layout.threads),
          .sharedBytes = static_cast<uint32_t>(tensor ? layout.sharedBytes : layout.plainBytes)};
}

const Engine productMma = {.name = "mma",
                           .header = "product/mma.cuh",
                           .body = "productMma",
                           .params = {{"tile_m"}, {"tile_n"}},
                           .constraint = constraint,
                           .shape = shape,
                           .waitsItself = true,
                           .tensorCores = true,
                           .fallback = productFallback};

} // namespace kernels
