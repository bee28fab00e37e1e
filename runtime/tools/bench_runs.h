// Runs of nanort bench: what is asked of a session, and how long it took.
#pragma once

#include "runtime/session/session.h"

#include <functional>
#include <optional>
#include <vector>

namespace nanort::tools {

/// Random prompts of one length, so many tokens after each; the same on every run.
struct Workload {
  uint32_t batch = 1, prompt = 512, fresh = 128;
  Sampling sampling;
};

/// What one run took, in ms: to the first tokens, and each step after them.
struct Times {
  double ttft = 0;
  std::vector<double> steps;
};

/// Step by step: the host feeds every token.
Times runSteps(Session &session, const Workload &work, const std::function<void()> &afterStep = {});
/// One generate entry; a step is done when the host has seen the last row's token of it.
Times runWhole(Session &session, const Workload &work);

/// Of several runs of a workload, in ms.
struct Summary {
  double ttft = 0, mean = 0, p50 = 0, p99 = 0, decode = 0, total = 0;
};
Summary summaryOf(const std::vector<Times> &runs);

/// The decode entry of exactly so many rows.
std::optional<uint32_t> decodeIndex(const schema::Program &program, uint32_t batch);
/// Weights and KV that one decode step must read at least, on average over the steps of a run.
double bytesPerStep(const schema::Program &program, const schema::Entry &entry, const Workload &work);

/// The smallest prefill entry that takes so many tokens at once.
std::optional<uint32_t> prefillIndex(const schema::Program &program, uint64_t tokens);

/// Decode steps on an executor that takes times; the first one, which makes the graph and warms caches up, is left out.
std::vector<std::vector<LaunchTime>> timeSteps(Session &session, uint32_t entry, const Workload &work);
/// Prefills of the prompts by an entry that takes them at once, `repeat` times after one to warm up.
std::vector<std::vector<LaunchTime>> timePrefills(Session &session, uint32_t entry, const Workload &work,
                                                  uint32_t repeat);

} // namespace nanort::tools
