#include "runtime/session/generate.h"

#include "runtime/base/error.h"

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

} // namespace

std::vector<Sample> generate(Session &session, std::span<const std::vector<int32_t>> prompts,
                             const GenerateOptions &options, Timing *timing) {
  for (const std::vector<int32_t> &prompt : prompts)
    if (prompt.size() >= session.positions())
      fail(Exit::Input, "the prompt has " + std::to_string(prompt.size()) + " tokens, the plan's context holds " +
                            std::to_string(session.positions()) +
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
    Group group(session, options, first, prompts.subspan(first, count), std::span(samples).subspan(first, count));
    auto start = Clock::now();
    group.prefill();
    if (first == 0)
      measured.ttftMs = milliseconds(start);
    start = Clock::now();
    for (; group.active(); ++measured.steps)
      group.step();
    measured.decodeMs += milliseconds(start);
  }
  if (timing)
    *timing = measured;
  return samples;
}

} // namespace nanort
