#include "runtime/session/session.h"

#include "runtime/base/error.h"
#include "runtime/base/ranges.h"
#include "runtime/base/text.h"

#include <algorithm>
#include <bit>
#include <string>

namespace nanort {

Session::Session(std::shared_ptr<const Plan> plan, uint32_t programIndex, std::unique_ptr<Executor> executor)
    : source(std::move(plan)), program(source->program(programIndex)), engine(std::move(executor)),
      maxSeq(source->root().model()->max_seq()), vocabulary(source->root().model()->vocab()) {
  const auto &entries = *program.entries();
  for (uint32_t i = 0; i < entries.size(); ++i)
    byKind[static_cast<size_t>(entries[i]->kind())].push_back(i);
  uint64_t limits[3] = {0, 0, 0};
  for (size_t kind = 0; kind < std::size(limits); ++kind) {
    std::sort(byKind[kind].begin(), byKind[kind].end(),
              [&](uint32_t a, uint32_t b) { return entries[a]->tokens() < entries[b]->tokens(); });
    for (uint32_t entry : byKind[kind]) {
      const uint64_t rows = entries[entry]->rows();
      // Any prefill bucket may serve any row, so the narrowest decides; decode has an entry per batch.
      limits[kind] = kind == 0 && limits[kind] != 0 ? std::min(limits[kind], rows) : std::max(limits[kind], rows);
    }
  }
  const uint64_t prefill = limits[0], decode = limits[1];
  // A plan for scoring alone has one row and no generation.
  state.resize(std::max<uint64_t>(1, std::min(prefill, decode)));
  setSampling({});
}

void Session::reset() { std::fill(state.begin(), state.end(), Row()); }
void Session::reset(uint32_t row) { state.at(row) = Row(); }

void Session::setSampling(const Sampling &sampling, uint32_t rowBase) {
  samplingWords[0] = std::bit_cast<uint32_t>(sampling.temperature);
  samplingWords[1] = std::bit_cast<uint32_t>(sampling.topK);
  samplingWords[2] = static_cast<uint32_t>(sampling.seed);
  samplingWords[3] = static_cast<uint32_t>(sampling.seed >> 32);
  samplingWords[4] = rowBase;
}

uint32_t Session::pick(schema::EntryKind kind, uint64_t tokens) const {
  const auto &candidates = byKind[static_cast<size_t>(kind)];
  if (candidates.empty()) {
    static constexpr const char *names[] = {"prefill", "decode", "score"};
    fail(Exit::Input, source->path().string() + ": program " + program.target()->str() + " has no " +
                          names[static_cast<size_t>(kind)] + " entry; compile the model again with nanocc");
  }
  for (uint32_t entry : candidates)
    if (program.entries()->Get(entry)->tokens() >= tokens)
      return entry;
  return candidates.back();
}

Session::Inputs Session::blank(const schema::Entry &entry) const {
  Inputs inputs;
  for (auto *v : {&inputs.tokens, &inputs.prev, &inputs.rows, &inputs.targets})
    v->assign(entry.tokens(), -1);
  inputs.positions.assign(entry.tokens(), 0);
  inputs.starts.assign(entry.rows(), 0);
  inputs.last.assign(entry.rows(), -1);
  inputs.steps.assign(entry.rows(), 0);
  for (size_t r = 0; r < std::min(state.size(), inputs.starts.size()); ++r) {
    inputs.starts[r] = static_cast<int32_t>(state[r].length);
    inputs.steps[r] = static_cast<int32_t>(state[r].steps);
  }
  inputs.ends = inputs.starts;
  return inputs;
}

void Session::append(Inputs &inputs, size_t slot, uint32_t row, int32_t token) {
  Row &r = state[row];
  inputs.tokens[slot] = token;
  inputs.prev[slot] = r.previous;
  inputs.rows[slot] = static_cast<int32_t>(row);
  inputs.positions[slot] = static_cast<int32_t>(r.length);
  r.previous = token;
  inputs.ends[row] = static_cast<int32_t>(++r.length);
}

void Session::run(uint32_t index, Inputs &inputs) {
  const std::pair<std::string_view, const std::vector<int32_t> *> sources[] = {
      {"tokens", &inputs.tokens},       {"prev", &inputs.prev},       {"rows", &inputs.rows},
      {"positions", &inputs.positions}, {"targets", &inputs.targets}, {"starts", &inputs.starts},
      {"ends", &inputs.ends},           {"last", &inputs.last},       {"steps", &inputs.steps}};
  for (const schema::Binding *binding : *program.entries()->Get(index)->inputs()) {
    const std::string_view name = binding->name()->string_view();
    if (name == "sampling")
      engine->write(binding->buffer(), samplingWords, sizeof samplingWords);
    for (const auto &[known, values] : sources)
      if (known == name)
        engine->write(binding->buffer(), values->data(), values->size() * sizeof(int32_t));
  }
  engine->run(index);
}

std::vector<int32_t> Session::sampled(const schema::Entry &entry) {
  const auto buffer = Plan::output(entry, "next");
  if (!buffer)
    fail(Exit::Input, source->path().string() + ": entry " + quote(entry.name()->string_view()) +
                          " gives no next token; compile the model again with nanocc");
  std::vector<int32_t> next(entry.rows());
  engine->read(*buffer, next.data(), next.size() * sizeof(int32_t));
  return next;
}

void Session::checkFeed(uint32_t row, std::span<const int32_t> tokens) const {
  if (row >= state.size())
    fail(Exit::Input, source->path().string() + ": row " + std::to_string(row) + " is outside the plan's batch of " +
                          std::to_string(state.size()) + "; compile with a larger --batch");
  if (tokens.empty())
    fail(Exit::Input, "a prompt has no tokens; it needs at least one");
  if (tokens.size() > maxSeq - state[row].length)
    fail(Exit::Input, source->path().string() + ": " + std::to_string(state[row].length + tokens.size()) +
                          " tokens do not fit the plan's context of " + std::to_string(maxSeq) +
                          "; shorten the prompt or compile with a larger --max-seq");
  checkIds(tokens);
}

void Session::checkIds(std::span<const int32_t> ids, std::string_view thing) const {
  for (size_t i = 0; i < ids.size(); ++i)
    if (ids[i] < 0 || static_cast<uint32_t>(ids[i]) >= vocabulary)
      fail(Exit::Input, source->path().string() + ": " + std::string(thing) + " " + std::to_string(ids[i]) +
                            " at index " + std::to_string(i) + " is outside the model's vocabulary [0, " +
                            std::to_string(vocabulary) + "); pass ids of its own tokenizer");
}

std::vector<int32_t> Session::prefill(std::span<const Feed> feeds) {
  const Range range("prefill");
  std::vector<bool> seen(state.size());
  size_t left = 0;
  for (const Feed &feed : feeds) {
    checkFeed(feed.row, feed.tokens);
    if (seen[feed.row])
      fail(Exit::Input, "row " + std::to_string(feed.row) + " is fed twice in one call");
    seen[feed.row] = true;
    left += feed.tokens.size();
  }
  std::vector<int32_t> result(feeds.size(), -1);
  size_t feed = 0, used = 0; // the next token to place
  while (left > 0) {
    const uint32_t index = pick(schema::EntryKind::Prefill, left);
    const schema::Entry &entry = *program.entries()->Get(index);
    Inputs inputs = blank(entry);
    std::vector<size_t> ended; // feeds whose last token is in this chunk
    size_t slot = 0;
    for (; slot < entry.tokens() && left > 0; ++slot, --left) {
      append(inputs, slot, feeds[feed].row, feeds[feed].tokens[used]);
      if (++used == feeds[feed].tokens.size()) {
        inputs.last[feeds[feed].row] = static_cast<int32_t>(slot);
        ended.push_back(feed++);
        used = 0;
      }
    }
    run(index, inputs);
    if (ended.empty())
      continue;
    const std::vector<int32_t> next = sampled(entry);
    for (size_t done : ended) {
      result[done] = next[feeds[done].row];
      ++state[feeds[done].row].steps;
    }
  }
  return result;
}

std::vector<int32_t> Session::decode(std::span<const Token> tokens) {
  const Range range("decode step");
  std::vector<bool> seen(state.size());
  uint32_t batch = 0;
  for (const Token &token : tokens) {
    checkFeed(token.row, {&token.id, 1});
    if (seen[token.row])
      fail(Exit::Input, "row " + std::to_string(token.row) + " is fed twice in one call");
    seen[token.row] = true;
    batch = std::max(batch, token.row + 1);
  }
  std::vector<int32_t> result;
  if (batch == 0)
    return result;
  const uint32_t index = pick(schema::EntryKind::Decode, batch);
  const schema::Entry &entry = *program.entries()->Get(index);
  Inputs inputs = blank(entry);
  for (const Token &token : tokens) {
    append(inputs, token.row, token.row, token.id);
    inputs.last[token.row] = static_cast<int32_t>(token.row);
  }
  run(index, inputs);
  const std::vector<int32_t> next = sampled(entry);
  for (const Token &token : tokens) {
    ++state[token.row].steps;
    result.push_back(next[token.row]);
  }
  return result;
}

void Session::score(std::span<const int32_t> ids, bool wantLogits, const ScoreChunk &chunk) {
  reset();
  checkFeed(0, ids);
  std::vector<float> nll, logits;
  for (size_t first = 0; first < ids.size();) {
    const uint32_t index = pick(schema::EntryKind::Score, ids.size() - first);
    const schema::Entry &entry = *program.entries()->Get(index);
    const size_t count = std::min<size_t>(entry.tokens(), ids.size() - first);
    Inputs inputs = blank(entry);
    for (size_t i = 0; i < count; ++i) {
      append(inputs, i, 0, ids[first + i]);
      if (first + i + 1 < ids.size())
        inputs.targets[i] = ids[first + i + 1];
    }
    run(index, inputs);
    const auto losses = Plan::output(entry, "nll"), scores = Plan::output(entry, "logits");
    if (!losses || (wantLogits && !scores))
      fail(Exit::Input, source->path().string() + ": entry " + quote(entry.name()->string_view()) +
                            " gives no losses or logits; compile the model again with nanocc");
    nll.resize(count);
    engine->read(*losses, nll.data(), nll.size() * sizeof(float));
    if (wantLogits) {
      logits.resize(count * vocabulary);
      engine->read(*scores, logits.data(), logits.size() * sizeof(float));
    }
    chunk(first, nll, logits);
    first += count;
  }
  reset();
}

} // namespace nanort
