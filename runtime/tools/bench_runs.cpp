#include "runtime/tools/bench_runs.h"

#include "runtime/measure/explain.h"
#include "runtime/session/generate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <random>

namespace nanort::tools {

using Clock = std::chrono::steady_clock;

static double milliseconds(Clock::time_point since) {
  return std::chrono::duration<double, std::milli>(Clock::now() - since).count();
}

/// The smallest value that at least `share` of them do not exceed.
static double quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::max<size_t>(rank, 1) - 1];
}

static std::vector<std::vector<int32_t>> promptsOf(const Session &session, const Workload &work) {
  std::mt19937_64 random(42);
  std::vector<std::vector<int32_t>> prompts(work.batch, std::vector<int32_t>(work.prompt));
  for (std::vector<int32_t> &prompt : prompts)
    for (int32_t &id : prompt)
      id = static_cast<int32_t>(random() % session.vocab());
  return prompts;
}

Times runSteps(Session &session, const Workload &work, const std::function<void()> &afterStep) {
  const std::vector<std::vector<int32_t>> prompts = promptsOf(session, work);
  session.reset();
  session.setSampling(work.sampling);
  std::vector<Session::Feed> feeds;
  for (uint32_t row = 0; row < prompts.size(); ++row)
    feeds.push_back({row, prompts[row]});
  const Clock::time_point start = Clock::now();
  std::vector<int32_t> next = session.prefill(feeds);
  Times times{milliseconds(start), {}};
  std::vector<Session::Token> tokens(prompts.size());
  for (uint32_t step = 1; step < work.fresh; ++step) {
    const Clock::time_point begin = Clock::now();
    for (uint32_t row = 0; row < prompts.size(); ++row)
      tokens[row] = {row, next[row]};
    next = session.decode(tokens);
    times.steps.push_back(milliseconds(begin));
    if (afterStep)
      afterStep();
  }
  return times;
}

Times runWhole(Session &session, const Workload &work) {
  const std::vector<std::vector<int32_t>> prompts = promptsOf(session, work);
  GenerateOptions how;
  how.maxNew = work.fresh;
  how.sampling = work.sampling;
  how.mode = GenerateMode::Graph;
  std::vector<uint32_t> taken(work.fresh); // rows whose n-th token has come
  std::vector<size_t> own(prompts.size());
  Times times;
  Clock::time_point begin = Clock::now();
  how.onToken = [&](size_t row, int32_t) {
    const size_t step = own[row]++;
    if (++taken[step] != prompts.size())
      return;
    (step == 0 ? times.ttft : times.steps.emplace_back()) = milliseconds(begin);
    begin = Clock::now();
  };
  generate(session, prompts, how);
  return times;
}

Summary summaryOf(const std::vector<Times> &runs) {
  std::vector<double> first, whole, means, steps;
  for (const Times &times : runs) {
    const double decode = std::accumulate(times.steps.begin(), times.steps.end(), 0.0);
    first.push_back(times.ttft);
    means.push_back(decode / static_cast<double>(times.steps.size()));
    whole.push_back(times.ttft + decode);
    steps.insert(steps.end(), times.steps.begin(), times.steps.end());
  }
  Summary summary;
  summary.ttft = median(first);
  summary.mean = median(means);
  summary.p50 = quantile(steps, 0.5);
  summary.p99 = quantile(steps, 0.99);
  summary.decode = summary.mean * static_cast<double>(runs.front().steps.size());
  summary.total = median(whole);
  return summary;
}

std::optional<uint32_t> decodeIndex(const schema::Program &program, uint32_t batch) {
  for (uint32_t i = 0; i < program.entries()->size(); ++i)
    if (const schema::Entry &entry = *program.entries()->Get(i);
        entry.kind() == schema::EntryKind::Decode && entry.rows() == batch)
      return i;
  return std::nullopt;
}

double bytesPerStep(const schema::Program &program, const schema::Entry &entry, const Workload &work) {
  double bytes = 0;
  std::vector<bool> counted(program.buffers()->size());
  for (const schema::Node *node : *entry.nodes())
    for (const schema::Arg *arg : argumentsOf(*node)) {
      if (arg->kind() != schema::ArgKind::Buffer || counted[arg->buffer()])
        continue;
      const schema::Buffer &buffer = *program.buffers()->Get(arg->buffer());
      const uint64_t elements = kernels::elementsIn(dtypeOf(buffer), buffer.bytes());
      // A matrix is multiplied whole; of an embedding or a rotary table a step reads a few rows.
      if (buffer.space() == schema::Space::Constant && node->flops() >= 2 * elements) {
        bytes += static_cast<double>(buffer.bytes());
        counted[arg->buffer()] = true;
      } else if (buffer.space() == schema::Space::Kv && buffer.shape()->size() == 5) {
        // [rows, 2, kv heads, ring, head size]: a row reads what it has, at most the ring.
        const uint64_t ring = buffer.shape()->Get(3);
        const double position = static_cast<double>(buffer.bytes() / buffer.shape()->Get(0) / ring);
        double held = 0;
        for (uint32_t step = 1; step < work.fresh; ++step)
          held += static_cast<double>(std::min<uint64_t>(work.prompt + step, ring));
        bytes += position * held / (work.fresh - 1) * static_cast<double>(entry.rows());
        counted[arg->buffer()] = true;
      }
    }
  return bytes;
}

std::vector<std::vector<LaunchTime>> timeSteps(Session &session, uint32_t entry, const Workload &work) {
  std::vector<std::vector<LaunchTime>> runs;
  runSteps(session, work, [&] { runs.push_back(session.executor().launchTimes(entry)); });
  if (runs.size() > 1)
    runs.erase(runs.begin());
  return runs;
}

std::optional<uint32_t> prefillIndex(const schema::Program &program, uint64_t tokens) {
  std::optional<uint32_t> best;
  for (uint32_t i = 0; i < program.entries()->size(); ++i)
    if (const schema::Entry &entry = *program.entries()->Get(i);
        entry.kind() == schema::EntryKind::Prefill && entry.tokens() >= tokens &&
        (!best || entry.tokens() < program.entries()->Get(*best)->tokens()))
      best = i;
  return best;
}

std::vector<std::vector<LaunchTime>> timePrefills(Session &session, uint32_t entry, const Workload &work,
                                                  uint32_t repeat) {
  const std::vector<std::vector<int32_t>> prompts = promptsOf(session, work);
  std::vector<Session::Feed> feeds;
  for (uint32_t row = 0; row < prompts.size(); ++row)
    feeds.push_back({row, prompts[row]});
  session.setSampling(work.sampling);
  std::vector<std::vector<LaunchTime>> runs;
  for (uint32_t run = 0; run <= repeat; ++run) {
    session.reset();
    session.prefill(feeds);
    if (run > 0)
      runs.push_back(session.executor().launchTimes(entry));
  }
  return runs;
}

} // namespace nanort::tools
