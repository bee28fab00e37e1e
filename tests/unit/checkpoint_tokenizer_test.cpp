// tokenizer.pkl -> tokenizer.json -> ids, and the bundled model from end to end.
#include "compiler/import/TokenizerConversion.h"
#include "runtime/base/json.h"
#include "runtime/base/safetensors.h"
#include "runtime/base/utf8.h"
#include "runtime/tokenizer/tokenizer.h"
#include "tests/unit/checkpoint_files.h"

#include <random>

using namespace nanocc;
using namespace nanotest;
using nanort::Exit;
using nanort::Tokenizer;

namespace {

struct LexiconTest : testing::Test {
  TemporaryDirectory dir;
  const std::filesystem::path checkpoint = std::filesystem::path(LEXICON) / "checkpoint";
};

std::string convert(const std::string &pickle, uint64_t vocab) {
  return tokenizerJson(std::as_bytes(std::span(pickle)), "tokenizer.pkl", vocab);
}

} // namespace

// Ids that tiktoken itself gave.
TEST_F(LexiconTest, TokenizesAsTiktokenDoes) {
  importModel(importOptions(checkpoint, dir.path));
  const Tokenizer tokenizer = Tokenizer::open(dir / "tokenizer.json");
  const nlohmann::json cases = nanort::readJson(std::filesystem::path(LEXICON) / "tokenizer_cases.json");
  ASSERT_GE(cases["cases"].size(), 10u);
  for (const nlohmann::json &known : cases["cases"]) {
    const auto text = known["text"].get<std::string>();
    EXPECT_EQ(tokenizer.encode(text), known["ids"].get<std::vector<int32_t>>()) << text;
    EXPECT_EQ(tokenizer.decode(known["ids"].get<std::vector<int32_t>>()), text);
  }
  for (const auto &[name, id] : cases["special"].items())
    EXPECT_EQ(tokenizer.special(name), id.get<int32_t>());
  EXPECT_EQ(tokenizer.vocabSize(), 4096u);
}

TEST_F(LexiconTest, RoundTripsRandomUnicode) {
  importModel(importOptions(checkpoint, dir.path));
  const Tokenizer tokenizer = Tokenizer::open(dir / "tokenizer.json");
  std::mt19937 random(6);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (size_t i = random() % 40; i > 0; --i) {
      const char32_t limits[] = {0x80, 0x800, 0x3100, 0x110000};
      const char32_t point = random() % limits[random() % 4];
      text += nanort::encodeUtf8(point >= 0xd800 && point < 0xe000 ? U' ' : point);
    }
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
}

TEST_F(LexiconTest, ImportsTheBundledModel) {
  const ModelConfig config = importModel(importOptions(checkpoint, dir.path));
  EXPECT_EQ(config.generation, 'E');
  EXPECT_EQ(config.windows, (std::vector<uint32_t>{128, 128, 128, 512}));
  EXPECT_EQ(config.tokenizer, "tokenizer.json");
  const nanort::Safetensors file = nanort::Safetensors::open(dir / "model.safetensors");
  EXPECT_EQ(file.tensors().size(), parametersOf(config).size());
  EXPECT_EQ(file.at("resid_lambdas").dtype, "F32");
  EXPECT_EQ(file.at("transformer.wte.weight").shape, (std::vector<uint64_t>{4096, 256}));
}

TEST_F(LexiconTest, TakesEitherFormOfTokenizer) {
  writeCheckpoint(dir / "in", tinyTensors('E'));
  writeFile(dir / "t", tokenizerPickle({"ab", "abc"}, 300));
  ImportOptions options = importOptions(dir / "in", dir / "out");
  options.tokenizer = dir / "t";
  importModel(options);
  const std::string json = readFile(dir / "out" / "tokenizer.json");
  writeFile(dir / "t", json);
  importModel(options);
  EXPECT_EQ(readFile(dir / "out" / "tokenizer.json"), json);
  // Beside the checkpoint it is found without being named.
  options.tokenizer.reset();
  writeFile(dir / "in" / "tokenizer.json", json);
  EXPECT_TRUE(importModel(options).tokenizer);
  options.tokenizer = dir / "missing";
  expectError(Exit::Input, "missing", [&] { importModel(options); });
}

TEST(TokenizerConversion, ListsEverySplitByRank) {
  const nlohmann::json json = nlohmann::json::parse(convert(tokenizerPickle({"ab", "bc", "abc", "c a"}, 262), 262));
  const auto expected = nlohmann::json::parse(R"([["a", "b"], ["b", "c"], ["a", "bc"], ["ab", "c"]])");
  EXPECT_EQ(json["model"]["merges"], expected) << "no two tokens make 'c a'";
  EXPECT_EQ(json["model"]["ignore_merges"], true);
  EXPECT_EQ(json["model"]["vocab"]["cĠa"], 259);
  EXPECT_EQ(json["added_tokens"][0]["content"], "<|bos|>");
  EXPECT_EQ(json["added_tokens"][0]["id"], 260);
}

TEST(TokenizerConversion, RefusesOtherVocabulariesAndPickles) {
  const std::string good = tokenizerPickle({"ab"}, 300);
  expectError(Exit::Input, "300 ids where the model's vocabulary has 301", [&] { convert(good, 301); });
  expectError(Exit::Input, "300 ids where the model's vocabulary has 299", [&] { convert(good, 299); });
  expectError(Exit::Input, "twice", [&] { convert(tokenizerPickle({"ab", "ab"}, 300), 300); });
  expectError(Exit::Unsupported, "1024 bytes", [&] { convert(tokenizerPickle({std::string(2000, 'x')}, 300), 300); });
  expectError(Exit::Input, "'os.system'", [&] { convert("cos\nsystem\n(S'true'\ntR.", 300); });
  expectError(Exit::Input, "not a pickled tiktoken", [&] { convert("\x80\x04}.", 300); });
  const std::string object = "\x80\x04\x8c\x0dtiktoken.core\x8c\x08"
                             "Encoding\x93)\x81";
  expectError(Exit::Unsupported, "'cl100k_base'", [&] { convert(object + pickleText("cl100k_base") + "b.", 300); });
  expectError(Exit::Input, "'pat_str'", [&] { convert(object + "}b.", 300); });
  std::string pattern = good;
  pattern.replace(pattern.find("\\s+|\\S+"), 7, "(\\s+|\\S");
  expectError(Exit::Unsupported, "compile", [&] { convert(pattern, 300); });
}
