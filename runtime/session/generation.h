// One request as one run of a generate entry: prompts in, tokens out of a ring in mapped memory while it runs.
#pragma once

#include "runtime/session/session.h"

#include <atomic>
#include <optional>
#include <span>
#include <vector>

namespace nanort {

class Generation {
public:
  /// How a row ends: values of kernels::generation::Status.
  enum class End : int32_t { Stop = 2, Length = 3, Context = 4, Cancelled = 5 };
  /// A token of a row, or with a negative id its end.
  struct Event {
    uint32_t row;
    int32_t id;
    bool ends() const { return id < 0; }
    End end() const { return static_cast<End>(-id); }
  };

  /// The entry that serves one prompt for each of `rows` rows, `tokens` in all: the smallest bucket that holds them at
  /// once, or the largest, and the smallest batch. nullopt if the plan has none, or the entry no room for the stop ids.
  static std::optional<uint32_t> entryFor(const Session &session, uint64_t rows, uint64_t tokens, size_t stopIds);

  /// Starts `entry` on rows 0, 1, ... of an empty session, with the session's sampling. Rows that have not ended do so
  /// soon after `stop` is set; null: never. Errors: those of Session::prefill.
  Generation(Session &session, uint32_t entry, std::span<const std::vector<int32_t>> prompts, uint32_t maxNew,
             std::span<const int32_t> stopIds, const std::atomic<bool> *stop);
  /// Ends early what still runs. Waits for it, since its buffers are the next run's.
  ~Generation();
  Generation(const Generation &) = delete;
  Generation &operator=(const Generation &) = delete;

  /// The next event, waiting for it; nullopt when all rows have ended. The session's rows then hold what was fed.
  std::optional<Event> next();

private:
  struct Row {
    uint32_t prompt = 0, emitted = 0;
    int32_t before = -1, last = -1; // the two newest tokens
  };
  void cancel();
  void settle(const Row &row, End end, uint32_t index);
  bool arrived(); // whether the ring holds an event that next() has not returned

  Session &session;
  const std::atomic<bool> *stop;
  int32_t *ring;
  std::vector<Row> rows;
  size_t open = 0;             // rows that have not ended
  int32_t seen = 0, count = 0; // events taken, and known to be in the ring
};

} // namespace nanort
