// The CPU references that the families of embed_norm and embed_smear share.
#pragma once

#include "kernels_templates/common/cpu.h"

namespace kernels {

/// put(i, value) for element i of rms_norm(table[tokens]). Buffers 0 and 1 are tokens and table, the last scalar counts
/// the tokens.
template <typename T, typename Put> void embedNorm(const CpuArgs &args, Put put) {
  const int64_t C = args.params["C"];
  const int32_t *tokens = args.at<int32_t>(0);
  args.math.parallelFor(args.scalars.back().i, grainOf(C), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const T *row = tokens[t] < 0 ? nullptr : args.at<T>(1) + tokens[t] * C;
      const float factor = row ? 1 / std::sqrt(dot(row, row, C) / static_cast<float>(C) + 0x1p-23f) : 0;
      for (int64_t i = 0; i < C; ++i)
        put(t * C + i, row ? toFloat(row[i]) * factor : 0);
    }
  });
}

/// put(i, value) for element i of the smeared embedding. Buffers 0 to 4 are tokens, prev, table, gate and lambda, the
/// last scalar counts the tokens.
template <typename T, typename Put> void embedSmear(const CpuArgs &args, Put put) {
  const int64_t C = args.params["C"], channels = args.params["channels"];
  const float lambda = *args.at<float>(4);
  const T *table = args.at<T>(2);
  // Factor of a row's norm; the row itself is left as it is.
  auto norm = [&](const T *row) { return 1 / std::sqrt(dot(row, row, C) / static_cast<float>(C) + 0x1p-23f); };
  args.math.parallelFor(args.scalars.back().i, grainOf(C), [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      const int32_t token = args.at<int32_t>(0)[t], prev = args.at<int32_t>(1)[t];
      const T *row = token < 0 ? nullptr : table + token * C, *other = prev < 0 ? nullptr : table + prev * C;
      const float factor = row ? norm(row) : 0;
      const float gate = sigmoid(row ? factor * dot(row, args.at<T>(3), channels) : 0);
      const float otherFactor = other ? lambda * gate * norm(other) : 0;
      for (int64_t i = 0; i < C; ++i)
        put(t * C + i, (row ? toFloat(row[i]) * factor : 0) + (other ? toFloat(other[i]) * otherFactor : 0));
    }
  });
}

/// Stores values and their first mix, in which the residual is still x0: buffers resid, skip, x0 and y from `first` on,
/// and the layer is the first scalar.
template <typename T> auto embedMixed(const CpuArgs &args, size_t first) {
  const int64_t layer = args.scalars[0].i;
  return [resid = args.at<float>(first)[layer], skip = args.at<float>(first + 1)[layer], x0 = args.at<T>(first + 2),
          y = args.at<T>(first + 3)](int64_t i, float value) {
    x0[i] = fromFloat<T>(value);
    y[i] = fromFloat<T>(resid * value + skip * value);
  };
}

} // namespace kernels
