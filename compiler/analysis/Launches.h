// What entries and their launches cost: counts, bytes, FLOPs, and the time that a device model predicts.
#pragma once

#include "dialects/plan/Plan.h"
#include "kernels_templates/base/device_model.h"

#include <optional>
#include <string>
#include <vector>

namespace nanocc {

struct LaunchCost {
  std::string kernel, location; // location as locationText gives it
  bool library = false;
  int64_t bytes = 0, flops = 0;
  std::optional<kernels::Prediction> predicted; // not of a cpu program
  std::vector<std::string> considered;          // what was weighed for it, the winner first; empty if nothing was
  std::string fallback;                         // as Kernel::fallback gives it; empty in a cpu program
  int64_t shared = 0;                           // bytes of dynamic shared memory of a block
  std::optional<int64_t> registers = {};        // of a block; known with machine code
  bool onEarlyEdge = false;                     // it, or what comes after it, may start early
  /// Whether a block leaves half an SM, as those on programmatic edges should.
  bool leavesHalf() const {
    return shared <= kernels::halfSmShared && registers.value_or(0) <= kernels::halfSmRegisters;
  }
};

/// Of plan.launch and plan.gemm operations of one program, in order.
std::vector<LaunchCost> launchesOf(plan::ProgramOp program, llvm::ArrayRef<mlir::Operation *> nodes);

/// A kernel on a general path, and how many launches of all entries and loops' own nodes it has.
struct Fallback {
  std::string kernel, reason;
  int64_t launches = 0;
};
/// Of a program, by their first launches.
std::vector<Fallback> fallbacksOf(plan::ProgramOp program);

struct Counts {
  int64_t launches = 0, bytes = 0, flops = 0;
};
struct EntryCost {
  Counts eager, plan; // before fusion, and as it is
  std::optional<double> predictedUs;
};

/// Of a generate entry: with every loop run once, for a prompt of one chunk and one decode step.
EntryCost costOf(plan::EntryOp entry);

/// Bytes by kind: constants split into what comes from the weights file and what is computed.
struct MemoryLine {
  int64_t weights = 0, tables = 0, kv = 0, state = 0, arena = 0, workspace = 0, mapped = 0;
};
MemoryLine memoryOf(plan::ProgramOp program);

/// "model.mlir:12", without the folder, so that bytes do not depend on where the file lies; empty if unknown.
std::string locationText(mlir::Location location);

} // namespace nanocc
