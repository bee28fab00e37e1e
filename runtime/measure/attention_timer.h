// Times what can serve one attention on a CUDA device.
#pragma once

#include "runtime/measure/workbench.h"

namespace nanort::cuda {

/// Chains of launches on random data, of what codegen::choicesFor offers, compiles and loads; `refused` hears of the
/// rest.
class AttentionTimer {
public:
  explicit AttentionTimer(Workbench &bench) : bench(bench) {}

  struct Prompts {
    int64_t count = 1;   // of as many tokens each
    bool general = true; // the general engine too, where others can serve
    bool early = true;   // programmatic edges where they can help, as in a graph of a step
  };
  /// Of attention_chunk: whole prompts from position 0 on, which read nothing of the ring; one, as predictions assume,
  /// unless `prompts` says otherwise. Queries, keys and values are in L2 as far as they fit, as behind the launch that
  /// makes them.
  std::vector<KernelTime> chunk(const codegen::Problem &attention, const Refused &refused, const Prompts &prompts);
  std::vector<KernelTime> chunk(const codegen::Problem &attention, const Refused &refused) {
    return chunk(attention, refused, Prompts());
  }

  /// Of attention_step: every row at the position where its window is full for the first time, as predictions assume of
  /// all. Rings, and what a value gate has of its own, are not in L2: launches go round in more of them than it holds,
  /// as layers do.
  std::vector<KernelTime> step(const codegen::Problem &attention, const Refused &refused);

private:
  Workbench &bench;
};

} // namespace nanort::cuda
