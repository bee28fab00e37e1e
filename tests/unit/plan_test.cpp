// Opening plan files: what is accepted, and what identification and the digest refuse.
#include "runtime/base/error.h"
#include "tests/unit/tiny_plan.h"

#include <gtest/gtest.h>
#include <random>

using namespace nanort;
using namespace nanort::test;
using testing::Test;

namespace {

Thrown openError(const TempDir &dir, const std::vector<uint8_t> &bytes) {
  writeFile(dir / "bad.fb", bytes);
  Thrown thrown = thrownBy([&] { Plan::open(dir / "bad.fb"); });
  EXPECT_NE(thrown.message.find("bad.fb"), std::string::npos) << thrown.message;
  EXPECT_EQ(thrown.message.find('\n'), std::string::npos);
  return thrown;
}

TEST(PlanFile, OpensAndAnswers) {
  TempDir dir;
  for (const char *target : {"cpu", "sm_90a"}) {
    TinyOptions options;
    options.target = target;
    const auto plan = openPlan(dir, tinyPlan(options));
    const schema::Program &program = plan->program(0);
    EXPECT_EQ(program.target()->str(), target);
    ASSERT_EQ(program.entries()->size(), 5u);
    const schema::Entry &prefill = *program.entries()->Get(0);
    EXPECT_EQ(program.buffers()->Get(*Plan::input(prefill, "tokens"))->name()->str(), "tokens");
    EXPECT_EQ(program.buffers()->Get(*Plan::output(prefill, "next"))->name()->str(), "next");
    EXPECT_FALSE(Plan::input(prefill, "next"));
    EXPECT_FALSE(Plan::output(prefill, "logits"));
  }
}

TEST(PlanFile, MissingFileNamesIt) {
  const Thrown thrown = thrownBy([] { Plan::open("/nonexistent/plan.fb"); });
  EXPECT_EQ(thrown.code, 3);
  EXPECT_NE(thrown.message.find("/nonexistent/plan.fb"), std::string::npos);
}

TEST(PlanFile, RefusesOtherFiles) {
  TempDir dir;
  for (const std::string text : {"", "x", "NANO", "not a plan at all, but long enough"})
    EXPECT_EQ(openError(dir, {text.begin(), text.end()}).code, 3) << text;
}

TEST(PlanFile, RefusesEveryTruncation) {
  TempDir dir;
  const std::vector<uint8_t> whole = serialize(tinyPlan());
  for (size_t size = 0; size < whole.size(); size += size < 256 ? 1 : 97)
    ASSERT_EQ(openError(dir, {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}).code, 3) << size;
}

TEST(PlanFile, RefusesEveryBitFlip) {
  TempDir dir;
  const std::vector<uint8_t> whole = serialize(tinyPlan({{4}, {1}, 0, "cpu"}));
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    std::vector<uint8_t> bytes = whole;
    const size_t at = i < 400 ? static_cast<size_t>(i) : random() % bytes.size();
    bytes[at] ^= static_cast<uint8_t>(1u << (random() % 8));
    const Thrown thrown = openError(dir, bytes);
    // A flip in the version field itself reads as another format.
    ASSERT_TRUE(thrown.code == 3 || thrown.code == 4) << at << ": " << thrown.message;
  }
}

TEST(PlanFile, OtherFormatsSaySo) {
  TempDir dir;
  Json newer = tinyPlan();
  newer["format_version"] = 99;
  const Thrown version = openError(dir, serialize(newer));
  EXPECT_EQ(version.code, 4);
  EXPECT_NE(version.message.find("format 99"), std::string::npos) << version.message;

  Json other = tinyPlan();
  other["schema_hash"][5] = other["schema_hash"][5].get<int>() ^ 1;
  const Thrown hash = openError(dir, serialize(other));
  EXPECT_EQ(hash.code, 3);
  EXPECT_NE(hash.message.find("schema"), std::string::npos) << hash.message;

  other["schema_hash"] = Json::array({1, 2, 3});
  EXPECT_EQ(openError(dir, serialize(other)).code, 3);
}

/// What only a file can say: flatc makes no union of a type that the schema lacks.
TEST(PlanFile, RefusesUnknownMembersOfUnions) {
  TempDir dir;
  auto refused = [&](const std::function<void(schema::Program &)> &change) {
    std::vector<uint8_t> bytes = serialize(tinyPlan());
    change(const_cast<schema::Program &>(*schema::GetPlan(bytes.data())->programs()->Get(0)));
    sealPlan(bytes);
    const Thrown thrown = openError(dir, bytes);
    EXPECT_EQ(thrown.code, 3);
    return thrown.message;
  };
  for (uint8_t type : {0, 9}) {
    const std::string node = refused([&](schema::Program &program) {
      auto *table = const_cast<schema::Node *>(program.entries()->Get(0)->nodes()->Get(1));
      reinterpret_cast<flatbuffers::Table *>(table)->SetField<uint8_t>(schema::Node::VT_WORK_TYPE, type, 255);
    });
    EXPECT_NE(node.find("node 1: unknown kind " + std::to_string(type)), std::string::npos) << node;
    const std::string step = refused([&](schema::Program &program) {
      const auto &constants = *program.constants(); // the last is the rotary table
      const auto *types = constants[constants.size() - 1]->steps_type();
      const_cast<uint8_t &>(types->Data()[0]) = type;
    });
    EXPECT_NE(step.find("step 0: it is of an unknown kind"), std::string::npos) << step;
  }
}

TEST(PlanFile, DigestDecides) {
  TempDir dir;
  const Thrown unsealed = openError(dir, serialize(tinyPlan(), false));
  EXPECT_EQ(unsealed.code, 3);
  EXPECT_NE(unsealed.message.find("SHA-256"), std::string::npos) << unsealed.message;

  Json plan = tinyPlan();
  plan["digest"] = Json::array({1, 2, 3});
  EXPECT_EQ(openError(dir, serialize(plan, false)).code, 3);
  EXPECT_THROW(serialize(plan), Error);
}

} // namespace
