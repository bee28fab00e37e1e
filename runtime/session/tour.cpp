#include "runtime/session/tour.h"

#include <algorithm>
#include <random>

namespace nanort {

namespace {

class Tour {
public:
  explicit Tour(Session &session) : session(session) {}

  void run(const schema::Program &program) {
    uint64_t scored = 0;
    for (const schema::Entry *entry : *program.entries()) {
      if (entry->kind() == schema::EntryKind::Prefill)
        prefill(entry->tokens());
      if (entry->kind() == schema::EntryKind::Decode)
        decode(static_cast<uint32_t>(entry->rows()));
      if (entry->kind() == schema::EntryKind::Score)
        scored = std::max(scored, std::min<uint64_t>(entry->tokens(), session.positions()));
    }
    if (scored > 0)
      session.score(text(scored), false, [](size_t, std::span<const float>, std::span<const float>) {});
  }

private:
  std::vector<int32_t> text(uint64_t length) {
    std::vector<int32_t> ids(length);
    for (int32_t &id : ids)
      id = static_cast<int32_t>(random() % session.vocab());
    return ids;
  }

  /// Appends tokens to rows, as far as they have room.
  void feed(const std::vector<uint64_t> &lengths) {
    std::vector<std::vector<int32_t>> texts;
    std::vector<Session::Feed> feeds;
    for (uint32_t row = 0; row < lengths.size(); ++row)
      texts.push_back(text(std::min<uint64_t>(lengths[row], session.positions() - session.length(row))));
    for (uint32_t row = 0; row < lengths.size(); ++row)
      if (!texts[row].empty())
        feeds.push_back({row, texts[row]});
    if (!feeds.empty())
      session.prefill(feeds);
  }

  /// `tokens` over a few rows, the later the longer.
  std::vector<uint64_t> uneven(uint64_t tokens) const {
    const uint64_t rows = std::min<uint64_t>({session.rows(), tokens, 5}), parts = rows * (rows + 1) / 2;
    std::vector<uint64_t> lengths;
    for (uint64_t row = 0; row < rows; ++row)
      lengths.push_back(std::max<uint64_t>(1, tokens * (row + 1) / parts));
    return lengths;
  }

  void prefill(uint64_t tokens) {
    session.reset();
    feed(uneven(tokens));
    session.reset();
    feed(uneven(std::min<uint64_t>(tokens, session.positions() / 3)));
    feed(uneven(tokens));
  }

  void decode(uint32_t rows) {
    session.reset();
    std::vector<uint64_t> lengths(rows);
    for (uint32_t row = 0; row < rows; ++row)
      lengths[row] = 1 + 13 * row % std::min<uint64_t>(40, session.positions() / 2);
    feed(lengths);
    for (int step = 0; step < 3; ++step) {
      std::vector<Session::Token> tokens;
      for (uint32_t row = 0; row < rows; ++row)
        if (session.length(row) < session.positions())
          tokens.push_back({row, text(1).front()});
      if (!tokens.empty())
        session.decode(tokens);
    }
  }

  Session &session;
  std::mt19937 random{1};
};

} // namespace

void visitEntries(Session &session, const schema::Program &program) { Tour(session).run(program); }

} // namespace nanort
