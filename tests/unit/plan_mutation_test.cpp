// Damage that the digest does not show: a mutated plan is refused with a message, or runs without leaving its buffers
// (which a sanitizer build proves).
#include "runtime/base/error.h"
#include "runtime/session/generate.h"
#include "runtime/session/memory.h"
#include "tests/unit/tiny_plan.h"

#include <cstring>
#include <gtest/gtest.h>
#include <random>
#include <sys/mman.h>
#include <unistd.h>

using namespace nanort;
using namespace nanort::test;

namespace {

void mutate(std::vector<uint8_t> &bytes, std::mt19937 &random) {
  const uint32_t words[] = {0, 1, 2, 3, 7, 8, 11, 12, 255, 256, 512, 0x7fffffff, 0x80000000, 0xffffffff};
  for (uint32_t count = 1 + random() % 3; count-- > 0;) {
    const size_t at = 8 + random() % (bytes.size() - 16);
    switch (random() % 4) {
    case 0:
      bytes[at] ^= static_cast<uint8_t>(1u << (random() % 8));
      break;
    case 1:
      bytes[at] = static_cast<uint8_t>(random() % 32); // indices and small extents
      break;
    case 2:
      std::memcpy(&bytes[at / 4 * 4], &words[random() % std::size(words)], 4);
      break;
    case 3: { // another word of the file
      const size_t from = 8 + random() % (bytes.size() - 16);
      std::memmove(&bytes[at / 4 * 4], &bytes[from / 4 * 4], 4);
      break;
    }
    }
  }
}

void runAll(const std::shared_ptr<const Plan> &plan) {
  const Weights weights = Weights::random(plan, 1);
  for (uint32_t program = 0; program < plan->root().programs()->size(); ++program) {
    if (requestedBy(plan->program(program)).plan() > (1u << 20))
      continue; // sound, but slow to clear a hundred thousand times
    Session session(plan, program, makeCpuExecutor(plan, program, weights, {1, 0, true}));
    const std::vector<int32_t> prompt(std::min<uint32_t>(6, session.positions() - 1),
                                      static_cast<int32_t>(session.vocab() - 1));
    const Session::Feed feeds[] = {{0, prompt}};
    session.prefill(feeds);
    const Session::Token token[] = {{0, 0}};
    session.decode(token);
    session.score(prompt, true, [](size_t, std::span<const float>, std::span<const float>) {});
    for (const schema::Entry *entry : *plan->program(program).entries())
      if (entry->kind() == schema::EntryKind::Generate) {
        GenerateOptions options;
        options.mode = GenerateMode::Graph;
        const std::vector<std::vector<int32_t>> prompts = {prompt};
        generate(session, prompts, options);
        break;
      }
  }
}

/// How many of `count` mutations pass the check, and run.
size_t acceptedOf(const std::vector<uint8_t> &whole, int count) {
  // A file in memory: a hundred thousand on a disk would take longer than the rest.
  const int file = memfd_create("plan", 0);
  EXPECT_GE(file, 0);
  const std::filesystem::path path = "/proc/self/fd/" + std::to_string(file);
  std::mt19937 random(20251121);
  size_t accepted = 0;
  for (int i = 0; i < count; ++i) {
    std::vector<uint8_t> bytes = whole;
    mutate(bytes, random);
    // The digest is sealed where the sound plan has it, so that only the identification can go wrong before the check.
    const auto *field = schema::GetPlan(whole.data())->digest();
    const size_t at = static_cast<size_t>(field->Data() - whole.data());
    std::memcpy(&bytes[at - 4], &whole[at - 4], 4);
    try {
      flatbuffers::Verifier verifier(bytes.data(), bytes.size());
      if (!schema::VerifyPlanBuffer(verifier) || schema::GetPlan(bytes.data())->digest()->size() != 32)
        continue; // PlanFile's tests
      sealPlan(bytes);
      EXPECT_EQ(pwrite(file, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
      const auto plan = Plan::open(path);
      ++accepted;
      runAll(plan);
    } catch (const Error &error) {
      EXPECT_NE(error.code, Exit::Internal) << error.what();
    }
  }
  close(file);
  return accepted;
}

// Names, costs and scalar factors may change freely; if nothing passed, these tests would prove nothing.
TEST(PlanMutation, HundredThousandAreRefusedOrHarmless) {
  EXPECT_GT(acceptedOf(serialize(tinyPlan({{4}, {1}, 4, "cpu"})), 100'000), 1000u);
}

TEST(PlanMutation, SoAreThoseOfGenerateEntries) {
  EXPECT_GT(acceptedOf(serialize(tinyPlan({{4}, {1}, 4, "cpu", true})), 20'000), 200u);
}

} // namespace
