#include "runtime/session/generate.h"

#include "runtime/base/error.h"
#include "runtime/base/ranges.h"
#include "runtime/session/generation.h"

#include <algorithm>
#include <chrono>
#include <string>

namespace nanort {

const char *nameOf(Finish finish) {
  switch (finish) {
  case Finish::Stop:
    return "stop";
  case Finish::Length:
    return "length";
  case Finish::Context:
    return "context";
  case Finish::Cancelled:
    return "cancelled";
  }
  return "";
}

namespace {

using Clock = std::chrono::steady_clock;
double milliseconds(Clock::time_point since) {
  return std::chrono::duration<double, std::milli>(Clock::now() - since).count();
}

/// Samples that run together, one a row.
class Group {
public:
  Group(Session &session, const GenerateOptions &options, size_t first, std::span<const std::vector<int32_t>> prompts,
        std::span<Sample> samples)
      : session(session), options(options), first(first), prompts(prompts), samples(samples) {}

  void prefill() {
    session.reset();
    session.setSampling(options.sampling, static_cast<uint32_t>(first));
    std::vector<Session::Feed> feeds;
    for (uint32_t row = 0; row < prompts.size(); ++row)
      feeds.push_back({row, prompts[row]});
    const std::vector<int32_t> next = session.prefill(feeds);
    for (uint32_t row = 0; row < prompts.size(); ++row)
      accept(row, next[row]);
  }

  bool active() const { return !pending.empty(); }

  void cancel() {
    for (const Session::Token &token : pending)
      samples[token.row].finish = Finish::Cancelled;
    pending.clear();
  }

  void step() {
    std::vector<Session::Token> tokens;
    tokens.swap(pending);
    const std::vector<int32_t> next = session.decode(tokens);
    for (size_t i = 0; i < tokens.size(); ++i)
      accept(tokens[i].row, next[i]);
  }

private:
  Session &session;
  const GenerateOptions &options;
  size_t first;
  std::span<const std::vector<int32_t>> prompts;
  std::span<Sample> samples;
  std::vector<Session::Token> pending; // rows that go on, with the token to feed

  void accept(uint32_t row, int32_t id) {
    if (options.force)
      id = options.force(first + row, id).value_or(id);
    Sample &sample = samples[row];
    if (std::find(options.stopIds.begin(), options.stopIds.end(), id) != options.stopIds.end()) {
      sample.finish = Finish::Stop;
      return;
    }
    sample.ids.push_back(id);
    if (options.onToken)
      options.onToken(first + row, id);
    if (sample.ids.size() >= options.maxNew)
      sample.finish = Finish::Length;
    else if (prompts[row].size() + sample.ids.size() >= session.positions())
      sample.finish = Finish::Context;
    else
      pending.push_back({row, id});
  }
};

bool cancelled(const GenerateOptions &options) {
  return options.cancel && options.cancel->load(std::memory_order_relaxed);
}

Finish finishOf(Generation::End end) {
  switch (end) {
  case Generation::End::Stop:
    return Finish::Stop;
  case Generation::End::Length:
    return Finish::Length;
  case Generation::End::Context:
    return Finish::Context;
  case Generation::End::Cancelled:
    break;
  }
  return Finish::Cancelled;
}

/// The generate entry for a group, if it is to run as one.
std::optional<uint32_t> entryFor(const Session &session, const GenerateOptions &options,
                                 std::span<const std::vector<int32_t>> prompts) {
  if (options.mode == GenerateMode::Steps ||
      (options.mode == GenerateMode::Auto && (!session.prefersGeneration() || options.force)))
    return std::nullopt;
  uint64_t tokens = 0;
  for (const std::vector<int32_t> &prompt : prompts)
    tokens += prompt.size();
  auto entry =
      options.force ? std::nullopt : Generation::entryFor(session, prompts.size(), tokens, options.stopIds.size());
  if (!entry && options.mode == GenerateMode::Graph)
    fail(Exit::Usage, session.plan().path().string() +
                          ": no entry generates this request at once; compile the model again with nanocc, give fewer "
                          "stop ids, or generate step by step");
  return entry;
}

/// Runs a group as one generate entry.
void runAtOnce(Session &session, uint32_t entry, const GenerateOptions &options, size_t first,
               std::span<const std::vector<int32_t>> prompts, std::span<Sample> samples, Timing &timing) {
  session.setSampling(options.sampling, static_cast<uint32_t>(first));
  const auto start = Clock::now();
  auto decoding = start;
  Generation generation(session, entry, prompts, options.maxNew, options.stopIds, options.cancel);
  std::vector<bool> begun(prompts.size());
  size_t waiting = prompts.size(); // rows without an event
  uint64_t steps = 0;
  while (auto event = generation.next()) {
    Sample &sample = samples[event->row];
    if (!begun[event->row]) {
      begun[event->row] = true;
      if (--waiting == 0) {
        decoding = Clock::now();
        if (first == 0)
          timing.ttftMs = std::chrono::duration<double, std::milli>(decoding - start).count();
      }
    }
    if (event->ends()) {
      sample.finish = finishOf(event->end());
      // A stop id is the token of a step, too.
      const uint64_t sampled = sample.ids.size() + (sample.finish == Finish::Stop ? 1 : 0);
      steps = std::max<uint64_t>(steps, std::max<uint64_t>(sampled, 1) - 1);
      continue;
    }
    sample.ids.push_back(event->id);
    if (options.onToken)
      options.onToken(first + event->row, event->id);
  }
  timing.decodeMs += milliseconds(decoding);
  timing.steps += steps;
}

} // namespace

std::vector<Sample> generate(Session &session, std::span<const std::vector<int32_t>> prompts,
                             const GenerateOptions &options, Timing *timing) {
  const Range range("generate");
  for (const std::vector<int32_t> &prompt : prompts)
    if (prompt.size() >= session.positions())
      fail(Exit::Input, session.plan().path().string() + ": the prompt has " + std::to_string(prompt.size()) +
                            " tokens, the plan's context holds " + std::to_string(session.positions()) +
                            " with at least one new; shorten it or compile with a larger --max-seq");
  // All of them first: a late group must not fail after an early one has run, and -n 0 refuses what -n 1 does.
  for (const std::vector<int32_t> &prompt : prompts)
    session.checkIds(prompt);
  std::vector<Sample> samples(prompts.size());
  if (options.maxNew == 0)
    return samples;
  Timing measured;
  for (size_t first = 0; first < prompts.size(); first += session.rows()) {
    const size_t count = std::min<size_t>(session.rows(), prompts.size() - first);
    const auto own = prompts.subspan(first, count);
    const auto into = std::span(samples).subspan(first, count);
    if (auto entry = entryFor(session, options, own)) {
      runAtOnce(session, *entry, options, first, own, into, measured);
      continue;
    }
    Group group(session, options, first, own, into);
    auto start = Clock::now();
    group.prefill();
    if (first == 0)
      measured.ttftMs = milliseconds(start);
    start = Clock::now();
    for (; group.active(); ++measured.steps) {
      if (cancelled(options)) {
        group.cancel();
        break;
      }
      group.step();
    }
    measured.decodeMs += milliseconds(start);
  }
  if (timing)
    *timing = measured;
  return samples;
}

} // namespace nanort
