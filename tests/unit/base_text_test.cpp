#include "runtime/base/json.h"
#include "runtime/base/text.h"
#include "runtime/base/utf8.h"
#include "tests/unit/base_errors.h"

using namespace nanort;
using namespace nanotest;

// Expected values: Python's bytes.decode("utf-8", errors="replace").
TEST(Utf8, ReplacesAsPythonDoes) {
  const std::string r(replacementText);
  EXPECT_EQ(replaceInvalidUtf8("plain é 日 👍"), "plain é 日 👍");
  EXPECT_EQ(replaceInvalidUtf8("a\x80z"), "a" + r + "z");
  EXPECT_EQ(replaceInvalidUtf8("\xc0\xaf"), r + r);
  EXPECT_EQ(replaceInvalidUtf8("\xe6\x97"), r);
  EXPECT_EQ(replaceInvalidUtf8("\xe6\x97x"), r + "x");
  EXPECT_EQ(replaceInvalidUtf8("\xf0\x9f\x91"), r);
  EXPECT_EQ(replaceInvalidUtf8("\xf0\x9f\xf0\x9f"), r + r);
  EXPECT_EQ(replaceInvalidUtf8("\xed\xa0\x80"), r + r + r); // a surrogate
  EXPECT_EQ(replaceInvalidUtf8("\xf4\x90\x80\x80"), r + r + r + r);
  EXPECT_EQ(replaceInvalidUtf8("\xe0\x80\x80"), r + r + r);
}

TEST(Utf8, EncodesEachLength) {
  EXPECT_EQ(encodeUtf8(U'a') + encodeUtf8(U'é') + encodeUtf8(U'日') + encodeUtf8(U'👍'), "aé日👍");
}

TEST(Text, QuotesOnOneLine) {
  EXPECT_EQ(quote("a\nb\x7f\xff é"), "'a\\x0ab\\x7f\\xff é'");
  EXPECT_LT(quote(std::string(10000, 'x')).size(), 200u);
}

TEST(Text, FindsTheNearestNames) {
  EXPECT_EQ(nearest("smear_lamda", {"x0_lambdas", "smear_lambda", "lm_head.weight"}, 1).front(), "smear_lambda");
  EXPECT_TRUE(nearest("a", {}).empty());
}

TEST(Json, RefusesWhatReadersDisagreeOn) {
  EXPECT_EQ(parseJson(R"({"a": [1, {"b": 2}], "c": {"b": 3}})")["c"]["b"], 3);
  EXPECT_THROW(parseJson(R"({"a": 1, "a": 2})"), std::runtime_error);
  EXPECT_THROW(parseJson(R"({"x": {"a": 1, "b": {"a": 0}, "a": 2}})"), std::runtime_error);
  EXPECT_THROW(parseJson(std::string(100000, '[')), std::runtime_error);
  EXPECT_THROW(parseJson("{\"a\": \"\xff\"}"), std::runtime_error);
  EXPECT_THROW(parseJson("{\"a\": 1e999}"), std::runtime_error);
  EXPECT_THROW(parseJson(""), std::runtime_error);
  TemporaryDirectory dir;
  writeFile(dir / "list.json", "[1]");
  writeFile(dir / "cut.json", "{\"a\": ");
  expectError(Exit::Input, "list.json", [&] { readJson(dir / "list.json"); });
  expectError(Exit::Input, "byte 7", [&] { readJson(dir / "cut.json"); });
}
