// Measures what can serve the matrix products and attentions of a program.
#pragma once

#include "codegen/Choices.h"
#include "runtime/plan/plan.h"

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace nanort {

struct TuneOptions {
  int device = 0, rounds = 5;
  std::filesystem::path cacheDir;
  bool noCache = false;
};

struct TunedChoice {
  std::string problem; // as codegen::Problem::text() says
  std::string choice;  // as codegen::Choice::text() says; of a library "cublaslt version=13.1.0 algorithm=2"
  double us;           // median over the rounds, of a launch in a chain of them
};

struct Tuning {
  std::string target, device, driver, nvrtc;
  std::vector<TunedChoice> times; // of one problem together, in the order of codegen::choicesFor
};

/// The distinct problems that the nodes of a program are, of meanings that more than one engine serves, in order of
/// their first use.
std::vector<codegen::Problem> problemsOf(const schema::Program &program, const std::vector<KernelInstance> &kernels);

/// Times every choice for every product of `program` on a CUDA device, cuBLASLt's algorithms among them where it can
/// serve, and for every attention that has more than one choice.
/// Choices take turns, so that all see the same clocks; a launch's weights or rings are not in L2, because launches go
/// round in more of them than it holds; the data is random. `progress` gets a line per problem. Errors: Exit::Usage if
/// there is nothing to choose; Exit::Device without a device, NVRTC, or if the program is for another architecture than
/// the device's; Exit::Memory; Exit::Cuda.
Tuning tune(const Plan &plan, uint32_t program, const TuneOptions &options,
            const std::function<void(const std::string &)> &progress);

} // namespace nanort
