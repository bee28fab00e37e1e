#include "kernels_templates/common/product.h"

namespace kernels {

Cost productCost(const Params &p, uint64_t rows, uint64_t perOutput, uint64_t flopsPerOutput) {
  const uint64_t k = p["K"], columns = p["N"];
  return {(rows + columns) * k * sizeOf(p.type("T")) + rows * columns * perOutput,
          rows * columns * (2 * k + flopsPerOutput)};
}

std::string productFallback(const Params &p) {
  return p.type("T") == DType::BF16 ? requireMultiple(p, "K", 8, "8") : "";
}

double productReduction(const Params &p) { return reductionOf(p["K"]); }

} // namespace kernels
