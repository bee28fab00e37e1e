// The C interface over plans, sessions and the tokenizer. Exceptions end here.
#include "runtime/base/error.h"
#include "runtime/base/text.h"
#include "runtime/include/nanort/nanort.h"
#include "runtime/session/device.h"
#include "runtime/session/memory.h"
#include "runtime/session/session.h"
#include "runtime/tokenizer/tokenizer.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <optional>
#include <string>

using namespace nanort;

struct nanort_plan {
  std::shared_ptr<const Plan> plan;
};

struct nanort_session {
  Session session;
  std::string device;
  std::optional<Tokenizer> tokenizer;
};

namespace {

thread_local std::string lastError;

template <typename F> int guarded(F &&body) noexcept {
  try {
    body();
    return 0;
  } catch (const Error &error) {
    lastError = error.what();
    return static_cast<int>(error.code);
  } catch (const std::bad_alloc &) {
    lastError = "out of memory";
    return static_cast<int>(Exit::Memory);
  } catch (const std::exception &error) {
    lastError = error.what();
    return static_cast<int>(Exit::Internal);
  }
}

void require(bool given, const char *what) {
  if (!given)
    fail(Exit::Usage, std::string(what) + " must not be NULL");
}

const Tokenizer &tokenizerOf(const nanort_session *session) {
  require(session, "session");
  if (!session->tokenizer)
    fail(Exit::Input, "the plan names no tokenizer; pass nanort_options.tokenizer");
  return *session->tokenizer;
}

std::string textOr(const char *text, const char *otherwise) { return text ? text : otherwise; }

} // namespace

const char *nanort_error(void) { return lastError.c_str(); }

int nanort_open(const char *path, nanort_plan **plan) {
  return guarded([&] {
    require(path && plan, "path and plan");
    *plan = new nanort_plan{Plan::open(path)};
  });
}

void nanort_close(nanort_plan *plan) { delete plan; }

int nanort_check(const nanort_plan *plan, uint64_t memory) {
  return guarded([&] {
    require(plan, "plan");
    for (const schema::Program *program : *plan->plan->root().programs())
      if (const uint64_t needed = requestedBy(*program).total(); needed > memory)
        fail(Exit::Memory, plan->plan->path().string() + ": program " + program->target()->str() + " needs " +
                               std::to_string(needed) + " bytes, not " + std::to_string(memory) +
                               "; compile with a smaller --batch or --max-seq");
    Weights::fromFile(plan->plan, weightsPath(*plan->plan));
  });
}

int nanort_session_open(const nanort_plan *plan, const nanort_options *options, nanort_session **session) {
  return guarded([&] {
    require(plan && session, "plan and session");
    const nanort_options given = options ? *options : nanort_options{};
    const DeviceChoice device = chooseDevice(textOr(given.device, "auto"));
    const uint32_t program = chooseProgram(*plan->plan, device, textOr(given.program, ""));
    const Weights weights =
        Weights::fromFile(plan->plan, given.weights ? std::filesystem::path(given.weights) : weightsPath(*plan->plan));
    std::optional<Tokenizer> tokenizer;
    if (const auto path = given.tokenizer ? std::filesystem::path(given.tokenizer) : tokenizerPath(*plan->plan);
        !path.empty())
      tokenizer = Tokenizer::open(path);
    auto executor = makeExecutor(plan->plan, program, weights, device, {given.threads, {}, false});
    const std::string name = executor->device();
    *session = new nanort_session{Session(plan->plan, program, std::move(executor)), name, std::move(tokenizer)};
  });
}

void nanort_session_close(nanort_session *session) { delete session; }

int nanort_get_stats(const nanort_session *session, nanort_stats *stats) {
  return guarded([&] {
    require(session && stats, "session and stats");
    const ExecutorStats &s = session->session.stats();
    *stats = {session->device.c_str(),
              session->session.rows(),
              session->session.positions(),
              session->session.vocab(),
              s.constants,
              s.kv,
              s.state,
              s.arena,
              s.workspace,
              s.loadMs};
  });
}

int nanort_set_sampling(nanort_session *session, float temperature, int32_t top_k, uint64_t seed) {
  return guarded([&] {
    require(session, "session");
    if (!(temperature >= 0 && temperature <= 1e30f))
      fail(Exit::Usage, "the temperature is a finite number of 0 or more");
    session->session.setSampling({temperature, top_k, seed});
  });
}

int nanort_prefill(nanort_session *session, uint32_t row, const int32_t *ids, size_t count, int32_t *next) {
  return guarded([&] {
    require(session && ids && next, "session, ids and next");
    const Session::Feed feed{row, {ids, count}};
    *next = session->session.prefill({&feed, 1}).front();
  });
}

int nanort_step(nanort_session *session, const int32_t *ids, uint32_t count, int32_t *next) {
  return guarded([&] {
    require(session && ids && next, "session, ids and next");
    std::vector<Session::Token> tokens;
    for (uint32_t row = 0; row < count; ++row)
      if (ids[row] >= 0)
        tokens.push_back({row, ids[row]});
    const std::vector<int32_t> result = session->session.decode(tokens);
    for (size_t i = 0; i < tokens.size(); ++i)
      next[tokens[i].row] = result[i];
  });
}

int nanort_reset(nanort_session *session, uint32_t row) {
  return guarded([&] {
    require(session, "session");
    if (row >= session->session.rows())
      fail(Exit::Usage,
           "row " + std::to_string(row) + " is outside the batch of " + std::to_string(session->session.rows()));
    session->session.reset(row);
  });
}

int nanort_encode(const nanort_session *session, const char *text, int32_t *ids, size_t capacity, size_t *count) {
  return guarded([&] {
    require(text && count && (ids || capacity == 0), "text, ids and count");
    const std::vector<int32_t> all = tokenizerOf(session).encode(text);
    std::copy_n(all.begin(), std::min(capacity, all.size()), ids);
    *count = all.size();
  });
}

int nanort_special(const nanort_session *session, const char *name, int32_t *id) {
  return guarded([&] {
    require(name && id, "name and id");
    const auto found = tokenizerOf(session).special(name);
    if (!found)
      fail(Exit::Input, "the tokenizer has no special token " + quote(name));
    *id = *found;
  });
}

int nanort_decode(const nanort_session *session, const int32_t *ids, size_t count, char *text, size_t capacity,
                  size_t *size) {
  return guarded([&] {
    require((ids || count == 0) && size && (text || capacity == 0), "ids, text and size");
    const std::string all = tokenizerOf(session).decode({ids, count});
    if (capacity > 0) {
      const size_t kept = std::min(capacity - 1, all.size());
      std::memcpy(text, all.data(), kept);
      text[kept] = 0;
    }
    *size = all.size();
  });
}
