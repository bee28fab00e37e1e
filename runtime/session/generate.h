// Whole requests: prompts in, finished samples out.
#pragma once

#include "runtime/session/session.h"

#include <functional>
#include <optional>

namespace nanort {

enum class Finish { Stop, Length, Context };
const char *nameOf(Finish finish); // "stop", "length", "context"

struct GenerateOptions {
  uint32_t maxNew = 256; // tokens per sample
  Sampling sampling;
  std::vector<int32_t> stopIds;
  /// Called with each token as it is accepted (not with the one that stops a sample).
  std::function<void(size_t sample, int32_t id)> onToken;
  /// Asked after each sampled token: an id replaces it (counts, stops and is fed like a sampled one).
  std::function<std::optional<int32_t>(size_t sample, int32_t sampled)> force;
};

struct Sample {
  std::vector<int32_t> ids; // without the prompt and the stop token
  Finish finish = Finish::Length;
};

struct Timing {
  double ttftMs = 0;   // from the request to the first sampled token
  double decodeMs = 0; // in decode steps, of all groups
  uint64_t steps = 0;  // decode steps
};

/// One sample a prompt. More prompts than the plan's batch run in groups; sample i draws as row i whatever the group.
/// A sample ends at a stop id, at maxNew tokens, or when prompt and sample fill the context. Errors: Exit::Input for a
/// prompt of positions() tokens or more, an empty one, or an id outside the vocabulary.
std::vector<Sample> generate(Session &session, std::span<const std::vector<int32_t>> prompts,
                             const GenerateOptions &options, Timing *timing = nullptr);

} // namespace nanort
