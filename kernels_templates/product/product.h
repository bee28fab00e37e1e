// Matrix products y[n, N] = epilogue(norm(x)[n, K] w[N, K]^T): what its meanings and engines share.
#pragma once

#include "kernels_templates/base/require.h"

#include <span>

namespace kernels {

/// What becomes of a product's sums; product/epilogue.cuh has the device's traits, product/reference.cpp what they
/// mean.
struct Epilogue {
  std::string_view name;  // behind "product_"; empty: the sums themselves
  std::string_view trait; // on the device
  std::vector<Arg> inputs = {}, outputs = {}, scalars = {};
  uint64_t elementsPerOutput; // of type O, read or written, the output included
  uint64_t flopsPerOutput;
  double error; // by how much it multiplies a relative error
};
inline constexpr size_t epilogueCount = 6;
std::span<const Epilogue, epilogueCount> allEpilogues();

/// How weights are kept besides in the type of x: values of a narrow type, and scales.
struct WeightFormat {
  std::string_view name;          // behind "product_", before the epilogue's
  std::string_view trait;         // on the device: the epilogue behind the scales
  std::vector<Param> params = {}; // the values' type
  std::vector<Arg> scales = {};
  uint64_t scaleBytes = 0; // of a row of w
  std::initializer_list<const Engine *> engines;
};
inline constexpr size_t weightFormatCount = 2;
std::span<const WeightFormat, weightFormatCount> allWeightFormats();

/// The type of the values of w.
DType weightType(const Values &params);

/// Of a tile, behind its last step: what the engines `mma` and `wgmma` take for its epilogue.
inline constexpr double usPerOutput = 6.3e-5;

extern const Engine productStream, productMma, productWgmma;

/// Why products of bf16 miss the tensor cores of the engines `stream` and `mma`, which copy rows of w by 16 bytes;
/// empty if they do not.
std::string productFallback(const Values &params);
/// Whether those engines use tensor cores.
bool onTensorCores(const Values &params);

} // namespace kernels
