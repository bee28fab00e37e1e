// Matrix products y[n, N] = epilogue(scale(x)[n, K] w[N, K]^T): what its meanings and engines share.
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
std::span<const Epilogue> allEpilogues();

/// Of a tile, behind its last step: what the engines `mma` and `wgmma` take for its epilogue.
inline constexpr double usPerOutput = 6.3e-5;

extern const Engine productStream, productMma, productWgmma;

/// Why products of bf16 miss the tensor cores of the engines `stream` and `mma`; empty if they do not.
std::string productFallback(const Values &params);

} // namespace kernels
