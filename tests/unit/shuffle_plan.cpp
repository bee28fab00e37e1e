// shuffle_plan PLAN [RUNS]: the compiler's schedule and memory on trial. Runs prompts, steps and scoring of a plan on
// random weights in the plan's order, then RUNS times in random orders of its edges with dead memory poisoned; any
// difference is an edge or a lifetime that the plan lacks. Exit status 1 names the first run that differs.
#include "runtime/base/error.h"
#include "runtime/session/session.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

using namespace nanort;

static std::vector<float> everything(const std::shared_ptr<const Plan> &plan, uint32_t program,
                                     const CpuOptions &options) {
  Session session(plan, program, makeCpuExecutor(plan, program, Weights::random(plan, 1), options));
  std::mt19937 random(2);
  std::vector<float> results;
  std::vector<std::vector<int32_t>> prompts(session.rows());
  std::vector<Session::Feed> feeds;
  for (uint32_t row = 0; row < session.rows(); ++row) {
    prompts[row].resize(1 + random() % (session.positions() / 2));
    for (int32_t &id : prompts[row])
      id = static_cast<int32_t>(random() % session.vocab());
    feeds.push_back({row, prompts[row]});
  }
  std::vector<int32_t> next = session.prefill(feeds);
  for (int step = 0; step < 4; ++step) {
    results.insert(results.end(), next.begin(), next.end());
    std::vector<Session::Token> tokens;
    for (uint32_t row = 0; row < session.rows(); ++row)
      tokens.push_back({row, next[row]});
    next = session.decode(tokens);
  }
  const schema::Program &described = plan->program(program);
  for (uint32_t i = 0; i < described.buffers()->size(); ++i)
    if (described.buffers()->Get(i)->space() == schema::Space::Kv) {
      std::vector<float> cache(described.buffers()->Get(i)->bytes() / 4);
      session.executor().read(i, cache.data(), cache.size() * 4);
      results.insert(results.end(), cache.begin(), cache.end());
    }
  session.score(prompts[0], true, [&](size_t, std::span<const float> nll, std::span<const float> logits) {
    results.insert(results.end(), nll.begin(), nll.end());
    results.insert(results.end(), logits.begin(), logits.end());
  });
  return results;
}

int main(int argc, char **argv) {
  if (argc < 2)
    return std::fprintf(stderr, "usage: shuffle_plan PLAN [RUNS]\n"), 2;
  try {
    const auto plan = Plan::open(argv[1]);
    const int runs = argc > 2 ? std::atoi(argv[2]) : 10;
    for (uint32_t program = 0; program < plan->root().programs()->size(); ++program) {
      const std::vector<float> expected = everything(plan, program, {0, 0, false});
      for (int run = 1; run <= runs; ++run) {
        const std::vector<float> shuffled = everything(plan, program, {0, static_cast<uint64_t>(run), true});
        if (expected.size() != shuffled.size() ||
            std::memcmp(expected.data(), shuffled.data(), expected.size() * sizeof(float)) != 0) {
          std::fprintf(stderr, "%s: program %s: order %d gives other results: the plan lacks an edge or a lifetime\n",
                       argv[1], plan->program(program).target()->c_str(), run);
          return 1;
        }
      }
      std::printf("program %s: %d orders give the same %zu values\n", plan->program(program).target()->c_str(), runs,
                  expected.size());
    }
    return 0;
  } catch (const Error &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code);
  }
}
