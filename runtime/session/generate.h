// Whole requests: prompts in, finished samples out.
#pragma once

#include "runtime/session/session.h"

#include <atomic>
#include <functional>
#include <optional>

namespace nanort {

enum class Finish { Stop, Length, Context, Cancelled };
const char *nameOf(Finish finish); // "stop", "length", "context", "cancelled"

/// How a request runs: Graph is one run of a generate entry, Steps a run of an entry for each chunk and step, Auto the
/// former where the executor prefers it and the plan and the options allow it.
enum class GenerateMode { Auto, Steps, Graph };

struct GenerateOptions {
  uint32_t maxNew = 256; // tokens per sample
  Sampling sampling;
  std::vector<int32_t> stopIds;
  GenerateMode mode = GenerateMode::Auto;
  /// Set by any thread: samples then end as soon as they can.
  const std::atomic<bool> *cancel = nullptr;
  /// Called with each token as it is accepted (not with the one that stops a sample).
  std::function<void(size_t sample, int32_t id)> onToken;
  /// Asked after each sampled token: an id replaces it (counts, stops and is fed like a sampled one). Steps only.
  std::function<std::optional<int32_t>(size_t sample, int32_t sampled)> force;
};

struct Sample {
  std::vector<int32_t> ids; // without the prompt and the stop token
  Finish finish = Finish::Length;
};

struct Timing {
  double ttftMs = 0;   // from the request until each sample of the first group has a token
  double decodeMs = 0; // in decode steps, of all groups
  uint64_t steps = 0;  // decode steps
};

/// One sample a prompt. More prompts than the plan's batch run in groups; sample i draws as row i whatever the group.
/// A sample ends at a stop id, at maxNew tokens, or when prompt and sample fill the context. Errors: Exit::Input for a
/// prompt of positions() tokens or more, an empty one, or an id outside the vocabulary; Exit::Usage for mode Graph
/// where the plan or the options do not allow it.
std::vector<Sample> generate(Session &session, std::span<const std::vector<int32_t>> prompts,
                             const GenerateOptions &options, Timing *timing = nullptr);

} // namespace nanort
