// Measures what can serve the matrix products and attentions of a program.
#pragma once

#include "codegen/Choices.h"
#include "runtime/plan/plan.h"

#include <filesystem>
#include <functional>
#include <string>
#include <variant>
#include <vector>

namespace nanort {

struct TuneOptions {
  int device = 0, rounds = 5;
  std::filesystem::path cacheDir;
  bool noCache = false;
};

struct TunedKernel {
  std::string kernel; // as codegen::kernelName and libraryKernelName say
  std::string choice; // "gemm tile_m=64 tile_n=64"
  int64_t rows;       // token slots
  double us;          // median over the rounds, of a launch in a chain of them
};

struct Tuning {
  std::string target, device, driver, nvrtc;
  std::vector<TunedKernel> kernels; // of one problem together, in the order of codegen::choicesFor
};

/// The distinct products that the nodes of a program compute, in order of their first use.
std::vector<codegen::Product> productsOf(const schema::Program &program, const std::vector<KernelInstance> &kernels);

using AnyAttention = std::variant<codegen::Attention, codegen::DecodeAttention>;

/// The distinct attentions that they compute, in order of their first use. A kernel's name does not have the window,
/// and a tuning file has one time for a kernel and a number of rows: of attentions that differ in the window alone
/// there is one, with the largest of their windows. What can serve them is the same, so that its times are of one
/// problem, and of the launches that take longest. (A ring is as long as its window, but for those beyond the context,
/// all full.)
std::vector<AnyAttention> attentionsOf(const schema::Program &program, const std::vector<KernelInstance> &kernels);

/// Times every choice for every product of `program` on a CUDA device, cuBLASLt's algorithms among them where it can
/// serve, and for every attention that has more than one choice.
/// Choices take turns, so that all see the same clocks; a launch's weights or rings are not in L2, because launches go
/// round in more of them than it holds; the data is random. `progress` gets a line per problem. Errors: Exit::Usage if
/// there is nothing to choose; Exit::Device without a device, NVRTC, or if the program is for another architecture than
/// the device's; Exit::Memory; Exit::Cuda.
Tuning tune(const Plan &plan, uint32_t program, const TuneOptions &options,
            const std::function<void(const std::string &)> &progress);

} // namespace nanort
