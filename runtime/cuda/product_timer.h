// Times what can serve one matrix product on a CUDA device.
#pragma once

#include "codegen/Cache.h"
#include "codegen/Choices.h"
#include "runtime/cuda/cublaslt.h"
#include "runtime/cuda/memory.h"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace nanort::cuda {

/// Two events and what lies between them.
class EventClock {
public:
  explicit EventClock(const Device &device);
  ~EventClock();
  EventClock(const EventClock &) = delete;
  EventClock &operator=(const EventClock &) = delete;

  void start(const std::string &thing);
  double stopUs(const std::string &thing); // waits

private:
  void release();

  const Device &device;
  Event events[2] = {};
};

/// A loaded image, so that nothing is left of it when what follows fails.
class Image {
public:
  Image(const Device &device, const std::vector<char> &bytes, const std::string &name, uint32_t sharedBytes);
  ~Image();
  Image(const Image &) = delete;
  Image &operator=(const Image &) = delete;

  Function function = nullptr;

private:
  const Device &device;
  Module module = nullptr;
};

double median(std::vector<double> values);

/// Candidates take turns, every round in another order (of a fixed seed), so that all see the same clocks: large
/// products run at the limit of power, and whoever has the turn inherits the clock that the one before left. On an H100
/// 80GB HBM3, 700 W, at 8192 x 8192 x 8192 (1,300 to 1,480 MHz of 1,980), the best of wgemm took 1.09 to 1.13 times as
/// long as the best of cuBLASLt where each always followed the same neighbour, 1.05 times in shuffled turns, and 1.02
/// times in bursts too short to meet the limit.
///
/// A candidate is a chain of launches, as in a graph of a step: with programmatic edges where they can help. The chain
/// goes round in 160 MB of weights, more than an L2 holds, but for matrices below 400 KB, of which it has 400. The data
/// is random.
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
  class Operand;
  class Candidate;
  class KernelCandidate;
  class LibraryCandidate;
  struct Follower;
  using Operands = std::map<std::string, std::unique_ptr<Operand>, std::less<>>;

  /// Images in the order of `instances`, empty where one does not compile.
  std::vector<std::vector<char>> compile(const std::vector<codegen::Instance> &instances,
                                         const std::function<void(const std::string &)> &refused);
  void addLibrary(const codegen::Product &product, int algorithms, Operands &operands, uint64_t copies, uint32_t chain,
                  std::vector<std::unique_ptr<Candidate>> &candidates);

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
