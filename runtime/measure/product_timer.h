// Times what can serve one matrix product on a CUDA device.
#pragma once

#include "runtime/cuda/cublaslt.h"
#include "runtime/measure/workbench.h"

namespace nanort::cuda {

/// Chains of launches whose weights are not in L2.
class ProductTimer {
public:
  explicit ProductTimer(Workbench &bench) : bench(bench) {}
  ~ProductTimer();

  using Time = KernelTime;
  /// All choices of codegen::choicesFor that compile and load (`refused` hears of the others); with `libraryAlgorithms`
  /// > 0 also that many of cuBLASLt's, as its heuristics rank them, called "cublaslt", each with the launches of what
  /// the product has fused: rms_norm before it, relu2 or add behind it. Residuals of other kinds have none.
  std::vector<Time> time(const codegen::Problem &product, int libraryAlgorithms, const Refused &refused);

  const Device &device() const { return bench.gpu; }

private:
  class LibraryChain;
  class PartLaunch;
  struct UnfusedParts;

  /// The launches of what `product` has fused; their buffers become `data`'s.
  std::shared_ptr<UnfusedParts> unfusedParts(const codegen::Problem &product, ChainData &data);
  void addLibrary(const codegen::Problem &product, int algorithms, ChainData &data,
                  std::vector<std::unique_ptr<TimedChain>> &chains);

  Workbench &bench;
  std::unique_ptr<CublasLt> blas;
};

} // namespace nanort::cuda
