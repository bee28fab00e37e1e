#include "kernels_templates/product/stream_layout.h"
#include "kernels_templates/product/product.h"

namespace kernels {

static std::string constraint(const Values &p) { return requireRange(p, "M", 1, StreamLayout::mostRows); }

static LaunchShape shape(const Values &v) {
  const StreamLayout layout(v["K"], v["N"], v["M"]);
  const bool tensor = v.type("T") == DType::BF16 && productFallback(v).empty();
  return {.blocks = blocksFor(v.count("N"), static_cast<uint64_t>(layout.columns)),
          .threads = StreamLayout::threads,
          .sharedBytes = tensor ? static_cast<uint32_t>(layout.sharedBytes) : 0};
}

const Engine productStream = {.name = "stream",
                              .header = "product/stream.cuh",
                              .body = "productStream",
                              .params = {{"M"}}, // rows of x: as many as n
                              .constraint = constraint,
                              .shape = shape,
                              .waitsItself = true,
                              .tensorCores = true,
                              .fallback = productFallback};

} // namespace kernels
