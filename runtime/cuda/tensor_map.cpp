#include "runtime/cuda/tensor_map.h"

#include <array>

namespace nanort::cuda {

// Values of cuda.h.
static int swizzleMode(uint32_t bytes) { return bytes == 128 ? 3 : bytes == 64 ? 2 : bytes == 32 ? 1 : 0; }
constexpr int notInterleaved = 0, promoteTo256Bytes = 3, fillWithZeros = 0;

TensorMapImage encode(const Driver &driver, const kernels::TensorMap &map, kernels::DType type, DevicePtr base,
                      std::string_view thing) {
  constexpr std::array<uint32_t, 5> dense = {1, 1, 1, 1, 1};
  TensorMapImage image;
  driver.check(driver.cuTensorMapEncodeTiled(&image, infoOf(type).tensorMapType,
                                             static_cast<unsigned>(map.extents.size()), base, map.extents.data(),
                                             map.strides.data(), map.box.data(), dense.data(), notInterleaved,
                                             swizzleMode(map.swizzle), promoteTo256Bytes, fillWithZeros),
               "cuTensorMapEncodeTiled", thing);
  return image;
}

} // namespace nanort::cuda
