#include "runtime/weights/quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace nanort {

float scaleForE4m3(std::span<const float> group) {
  float largest = 0;
  for (float value : group) {
    if (!std::isfinite(value))
      return std::numeric_limits<float>::quiet_NaN();
    largest = std::max(largest, std::abs(value));
  }
  const float scale = largest / kernels::largestE4m3;
  return scale > 0 ? scale : 1;
}

void quantizeToE4m3(std::span<const float> group, float scale, std::span<kernels::e4m3> out) {
  for (size_t i = 0; i < group.size(); ++i)
    out[i] = kernels::roundToE4m3(group[i] / scale);
}

} // namespace nanort
