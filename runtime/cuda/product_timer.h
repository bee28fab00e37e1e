// Times what can serve one matrix product on a CUDA device.
#pragma once

#include "codegen/Cache.h"
#include "codegen/Choices.h"
#include "runtime/cuda/cublaslt.h"
#include "runtime/cuda/timing.h"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace nanort::cuda {

/// Chains of launches in turns (timing.h), as in a graph of a step: with programmatic edges where they can help. A
/// chain goes round in 160 MB of weights, more than an L2 holds, but for matrices below 400 KB, of which it has 400.
/// The data is random.
class ProductTimer {
public:
  /// Errors: Exit::Device without a device, NVRTC, or if `target` is not for the device.
  ProductTimer(int device, std::string target, int rounds, const std::filesystem::path &cacheDir, bool noCache);
  ~ProductTimer();

  struct Time {
    std::string kernel, choice;
    double us; // median over the rounds, of a launch (or pair of them) in the chain
  };
  /// All choices of codegen::choicesFor that compile and load (`refused` hears of the others); with `libraryAlgorithms`
  /// > 0 and a product without an epilogue or norm also that many of cuBLASLt's, as its heuristics rank them, called
  /// "cublaslt"; of a product with relu2, each of them and a launch of family relu2 behind it.
  std::vector<Time> time(const codegen::Product &product, int libraryAlgorithms,
                         const std::function<void(const std::string &)> &refused);

  const Device &device() const { return gpu; }
  std::string compiler() const { return nvrtc->version(); } // of NVRTC
  std::string library() const;                              // version of cuBLASLt; empty before its first use

private:
  class KernelCandidate;
  class LibraryCandidate;
  struct Follower;
  using Operands = std::map<std::string, std::unique_ptr<Operand>, std::less<>>;

  /// Images in the order of `instances`, empty where one does not compile.
  std::vector<std::vector<char>> compile(const std::vector<codegen::Instance> &instances,
                                         const std::function<void(const std::string &)> &refused);
  void addLibrary(const codegen::Product &product, int algorithms, Operands &operands, uint64_t copies, uint32_t chain,
                  std::vector<std::unique_ptr<TimedChain>> &candidates);

  const std::string target;
  const int rounds;
  Device gpu;
  Staging staging;
  EventClock clock;
  codegen::Cache cache;
  std::unique_ptr<codegen::Nvrtc> nvrtc;
  std::unique_ptr<CublasLt> blas;
};

} // namespace nanort::cuda
