// What timing the candidates for one problem takes: a device that compiles for itself, data, and kernels as chains of
// launches in turns.
#pragma once

#include "codegen/Cache.h"
#include "codegen/Choices.h"
#include "runtime/measure/timing.h"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace nanort::cuda {

struct KernelTime {
  std::string kernel, choice; // choice as codegen::Choice::text() says
  double us;                  // median over the rounds, of a launch (or pair of them) in the chain
};

/// What could serve a problem.
struct Candidate {
  codegen::Choice choice;
  codegen::Instance instance;
  std::vector<kernels::Scalar> scalars; // of a launch, in order
  bool once = false;                    // a launch is so long that a chain needs no second one
};

/// All choices of codegen::choicesFor, in its order. Floats matter to no choice; they get `reals`, by name.
std::vector<Candidate> candidatesFor(const codegen::Problem &problem, const std::string &target,
                                     const std::map<std::string_view, float> &reals = {});

/// What the launches of a problem's candidates work on: random numbers, but zeros where it is integers.
struct ChainData {
  std::map<std::string, std::unique_ptr<Operand>, std::less<>> operands; // by argument
  std::map<std::string, uint64_t, std::less<>> strides; // of those that are cold: bytes from one copy to the next
  uint64_t copies = 1;                                  // of the cold ones, in which launches go round
  uint32_t launches = 0;                                // of a chain
  kernels::Limits limits;
};

/// Hears why a candidate is not measured.
using Refused = std::function<void(const std::string &)>;

class Workbench {
public:
  /// Errors: Exit::Device without a device, NVRTC, or if `target` is not for the device.
  Workbench(int device, std::string target, int rounds, const std::filesystem::path &cacheDir, bool noCache);
  ~Workbench();

  std::string compiler() const { return nvrtc->version(); } // of NVRTC

  /// For all candidates alike. A chain goes round in 160 MB of what its arguments `cold` name, more than an L2 holds,
  /// but for less than 400 KB, of which it has 400. Errors: Exit::Memory.
  ChainData data(const std::vector<Candidate> &candidates, const kernels::Limits &limits,
                 std::initializer_list<std::string_view> cold);

  /// Those that compile and load (one that does not is no reason to lose the others), each after the one before.
  /// `early`: as in a graph of a step, with programmatic edges where they can help.
  std::vector<std::unique_ptr<TimedChain>> chains(const std::vector<Candidate> &candidates, const ChainData &data,
                                                  bool early, const Refused &refused);

  /// Takes turns (timing.h).
  std::vector<KernelTime> times(const std::vector<std::unique_ptr<TimedChain>> &chains);

  const std::string target;
  const int rounds;
  Device gpu;
  Staging staging;
  EventClock clock;
  codegen::Cache cache;
  std::unique_ptr<codegen::Nvrtc> nvrtc;

private:
  /// Images in the order of `candidates`, empty where one does not compile.
  std::vector<std::vector<char>> compile(const std::vector<Candidate> &candidates, const Refused &refused);
};

} // namespace nanort::cuda
