// What a program requests from its device, and what part of that a request needs.
#pragma once

#include "runtime/plan/plan.h"

#include <cstdint>
#include <string>

namespace nanort {

/// What a CUDA process takes beside the memory of its plan: the context, the code of the kernels, and the graphs of its
/// entries. A plan cannot know it: on an H100 (driver 580) it was 540 MiB with d32, two batches and their graphs in
/// use; this leaves room for other drivers and cuBLASLt.
inline constexpr uint64_t contextAllowance = uint64_t{768} << 20;

/// In bytes, by kind.
struct MemoryNeed {
  uint64_t constants = 0, kv = 0, state = 0, arena = 0, workspace = 0;
  uint64_t allowance = 0; // contextAllowance of a CUDA program

  uint64_t plan() const { return constants + kv + state + arena + workspace; }
  uint64_t total() const { return plan() + allowance; }
  /// "constants 1, kv 2, ..." without the allowance.
  std::string text() const;
};

/// What the runtime requests, whatever is asked of it afterwards: exactly the plan's bytes, and the allowance.
MemoryNeed requestedBy(const schema::Program &program);

/// What of that `rows` sequences of up to `positions` tokens use: their part of each ring, and the arena of the entries
/// that serve them. Rows and positions are at most the plan's.
MemoryNeed usedBy(const schema::Program &program, uint64_t rows, uint64_t positions);

} // namespace nanort
