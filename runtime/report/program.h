// What a program of a plan costs: its launches, entries and memory, with the times that a model of its target predicts.
#pragma once

#include "kernels_templates/base/predict.h"
#include "runtime/plan/plan.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nanort::report {

/// A node of an entry or of a loop.
struct Launch {
  std::string kernel;
  std::string location; // "model.mlir:12"; empty if unknown
  bool library = false; // by cuBLASLt
  uint64_t bytes = 0, flops = 0;
  std::optional<kernels::Prediction> predicted; // not in a cpu program
  std::vector<std::string> considered;          // what was weighed for it, the winner first; empty if nothing was
  std::string fallback;                         // as Kernel::fallback gives it; empty in a cpu program
  uint64_t shared = 0;                          // bytes of dynamic shared memory of a block
  std::optional<uint64_t> registers;            // of a block; known with machine code
  bool onEarlyEdge = false;                     // it, or what comes after it, may start early

  /// Whether a block leaves half an SM, as those on programmatic edges should.
  bool leavesHalf() const {
    return shared <= kernels::halfSmShared && registers.value_or(0) <= kernels::halfSmRegisters;
  }
  /// The kernel, and whether cuBLASLt stands for it.
  std::string text() const { return kernel + (library ? " (cuBLASLt)" : ""); }
};

struct Loop {
  std::string entry; // that it repeats
  std::string go;    // the buffer whose element `word` ends it
  uint32_t word = 0;
  std::vector<Launch> launches; // its own
  std::string text() const { return "while " + go + "[" + std::to_string(word) + "]: " + entry; }
};

struct Counts {
  uint64_t launches = 0, bytes = 0, flops = 0;
};

/// Costs of a generate entry are those with every loop run once, for a prompt of one chunk and one decode step.
struct Entry {
  const schema::Entry *table = nullptr;
  std::string name;
  std::vector<Launch> launches;
  std::vector<Loop> loops;
  Counts eager, planned; // before fusion, and as it is
  std::optional<double> predictedUs;
};

/// Bytes by kind: constants split into what comes from the weights file and what is computed.
struct Memory {
  uint64_t weights = 0, tables = 0, kv = 0, state = 0, arena = 0, workspace = 0, mapped = 0;
};

/// A kernel on a general path, and how many launches of all entries and loops it has.
struct Fallback {
  std::string kernel, reason;
  uint64_t launches = 0;
};

struct Program {
  const schema::Program *table = nullptr;
  std::string target, precision;
  std::vector<Entry> entries;
  Memory memory;

  /// By their first launches.
  std::vector<Fallback> fallbacks() const;
};

/// Refers to the plan.
Program describe(const Plan &plan, uint32_t program);
/// All of them.
std::vector<Program> describe(const Plan &plan);

} // namespace nanort::report
