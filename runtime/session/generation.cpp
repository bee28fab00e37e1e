#include "runtime/session/generation.h"

#include "kernels_templates/generation/words.h"
#include "runtime/base/error.h"

#include <algorithm>
#include <chrono>
#include <limits>
#include <thread>

namespace nanort {

namespace words = kernels::generation;

static_assert(static_cast<int>(Generation::End::Stop) == words::stopped &&
              static_cast<int>(Generation::End::Length) == words::length &&
              static_cast<int>(Generation::End::Context) == words::context &&
              static_cast<int>(Generation::End::Cancelled) == words::cancelled);

std::optional<uint32_t> Generation::entryFor(const Session &session, uint64_t rows, uint64_t tokens, size_t stopIds) {
  const auto &entries = *session.program.entries();
  std::optional<uint32_t> best;
  if (stopIds > words::maxStopIds)
    return best;
  auto batchOf = [&](uint32_t i) { return entries[entries[i]->loops()->Get(1)->entry()]->rows(); };
  for (uint32_t i : session.byKind[static_cast<size_t>(schema::EntryKind::Generate)]) {
    if (entries[i]->rows() < rows)
      continue;
    const bool holds = entries[i]->tokens() >= tokens, held = best && entries[*best]->tokens() >= tokens;
    const bool better = !best                                              ? true
                        : entries[i]->tokens() == entries[*best]->tokens() ? batchOf(i) < batchOf(*best)
                        : holds && held ? entries[i]->tokens() < entries[*best]->tokens()
                                        : entries[i]->tokens() > entries[*best]->tokens();
    if (better)
      best = i;
  }
  return best;
}

Generation::Generation(Session &session, uint32_t index, std::span<const std::vector<int32_t>> prompts, uint32_t maxNew,
                       std::span<const int32_t> stopIds, const std::atomic<bool> *stop)
    : session(session), stop(stop), open(prompts.size()) {
  const schema::Entry &entry = *session.program.entries()->Get(index);
  Executor &engine = *session.engine;
  session.reset();
  std::vector<int32_t> packed, request(words::requestWords(prompts.size()));
  for (uint32_t row = 0; row < prompts.size(); ++row) {
    session.checkFeed(row, prompts[row]);
    packed.insert(packed.end(), prompts[row].begin(), prompts[row].end());
    int32_t *own = &request[words::requestHeader + 2 * row];
    own[words::rowEnd] = static_cast<int32_t>(packed.size());
    own[words::rowLimit] = static_cast<int32_t>(std::min<uint32_t>(maxNew, std::numeric_limits<int32_t>::max()));
    const std::vector<int32_t> &prompt = prompts[row];
    rows.push_back(
        {static_cast<uint32_t>(prompt.size()), 0, prompt.size() > 1 ? prompt[prompt.size() - 2] : -1, prompt.back()});
  }
  request[words::requestTokens] = static_cast<int32_t>(packed.size());
  request[words::requestRows] = static_cast<int32_t>(prompts.size());
  request[words::requestStopCount] = static_cast<int32_t>(stopIds.size());
  std::copy(stopIds.begin(), stopIds.end(), request.begin() + words::requestStops);
  auto write = [&](std::optional<uint32_t> buffer, const void *data, size_t bytes) {
    if (buffer)
      engine.write(*buffer, data, bytes);
  };
  for (const schema::Loop *loop : *entry.loops())
    write(Plan::input(*session.program.entries()->Get(loop->entry()), "sampling"), session.samplingWords,
          sizeof session.samplingWords);
  write(Plan::input(entry, "request"), request.data(), request.size() * sizeof(int32_t));
  write(Plan::input(entry, "prompt"), packed.data(), packed.size() * sizeof(int32_t));
  ring = reinterpret_cast<int32_t *>(engine.mapped(*Plan::output(entry, "ring")));
  if (!ring)
    fail(Exit::Internal, engine.device() + ": this executor runs no generate entries");
  std::atomic_ref(ring[words::ringCount]).store(0, std::memory_order_release);
  std::atomic_ref(ring[words::ringCancel]).store(stop && stop->load() ? 1 : 0, std::memory_order_release);
  engine.run(index);
}

Generation::~Generation() {
  if (open == 0)
    return;
  cancel();
  try {
    while (!session.engine->finished())
      std::this_thread::yield();
  } catch (const Error &) {
    // Whatever ended the generation is the error to report.
  }
}

void Generation::cancel() { std::atomic_ref(ring[words::ringCancel]).store(1, std::memory_order_release); }

bool Generation::arrived() {
  if (seen == count)
    count = std::atomic_ref(ring[words::ringCount]).load(std::memory_order_acquire);
  return seen < count;
}

std::optional<Generation::Event> Generation::next() {
  if (open == 0)
    return std::nullopt;
  constexpr auto patience = std::chrono::milliseconds(2); // between questions to the driver
  auto asked = std::chrono::steady_clock::now();
  for (uint32_t turn = 1; !arrived(); ++turn) {
    if (turn % 64 != 0)
      continue;
    std::this_thread::yield();
    if (stop && stop->load(std::memory_order_relaxed))
      cancel();
    if (const auto now = std::chrono::steady_clock::now(); now - asked > patience) {
      asked = now;
      // The last events may have come between the look and the question.
      if (session.engine->finished() && !arrived()) {
        open = 0;
        fail(Exit::Internal, session.engine->device() + ": a generation ended without telling how");
      }
    }
  }
  if (stop && stop->load(std::memory_order_relaxed))
    cancel();
  const int32_t *pair = ring + words::ringHeader + 2 * seen++;
  const Event event{static_cast<uint32_t>(pair[0]), pair[1]};
  Row &row = rows.at(event.row);
  if (event.ends()) {
    settle(row, event.end(), event.row);
    --open;
  } else {
    ++row.emitted;
    row.before = row.last;
    row.last = event.id;
  }
  return event;
}

void Generation::settle(const Row &row, End end, uint32_t index) {
  // A sampled token is fed by the step that follows it: a row that ends with one does not hold it. Whoever cancelled
  // may have done so before the first token.
  const bool fed = end == End::Stop || row.emitted == 0;
  Session::Row &state = session.state[index];
  state.length = row.prompt + row.emitted - (fed ? 0 : 1);
  state.steps = row.emitted + (end == End::Stop ? 1 : 0);
  state.previous = fed ? row.last : row.before;
}

} // namespace nanort
