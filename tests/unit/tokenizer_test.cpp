#include "runtime/base/json.h"
#include "runtime/base/utf8.h"
#include "runtime/tokenizer/byte_level.h"
#include "runtime/tokenizer/splitter.h"
#include "runtime/tokenizer/tokenizer.h"
#include "tests/unit/base_errors.h"

#include <random>

using namespace nanort;
using namespace nanotest;

namespace {

const std::string splitPattern =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";

/// A byte-level tokenizer of 256 bytes, then `tokens`, then <|bos|>; every split into two tokens is a merge.
nlohmann::json tokenizerOf(const std::vector<std::string> &tokens, bool pairs = true) {
  std::vector<std::string> all;
  for (int byte = 0; byte < 256; ++byte)
    all.push_back(std::string(1, static_cast<char>(byte)));
  all.insert(all.end(), tokens.begin(), tokens.end());
  nlohmann::json vocab, merges = nlohmann::json::array();
  for (size_t id = 0; id < all.size(); ++id)
    vocab[toByteLevel(all[id])] = id;
  for (const std::string &token : tokens)
    for (size_t at = 1; at < token.size(); ++at) {
      const std::string left = toByteLevel(token.substr(0, at)), right = toByteLevel(token.substr(at));
      if (!vocab.contains(left) || !vocab.contains(right))
        continue;
      merges.push_back(pairs ? nlohmann::json{left, right} : nlohmann::json(left + " " + right));
    }
  nlohmann::json file;
  file["added_tokens"] = {{{"id", all.size()}, {"content", "<|bos|>"}, {"special", true}}};
  file["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"}, {"pattern", {{"Regex", splitPattern}}}, {"behavior", "Isolated"}, {"invert", false}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  file["model"] = {{"type", "BPE"}, {"vocab", vocab}, {"merges", merges}, {"ignore_merges", true}};
  return file;
}

const std::vector<std::string> tokenTexts{"aa", "ab", "th",       "the", " t",  " the", "aaa", "aaaa", "bab",
                                          "é",  "日", "\xe6\x97", "in",  "ing", "he",   " th", "  ",   "12"};

struct TokenizerTest : testing::Test {
  TemporaryDirectory dir;
  Tokenizer open(const nlohmann::json &file) {
    writeFile(dir / "tokenizer.json", file.dump());
    return Tokenizer::open(dir / "tokenizer.json");
  }
  void refused(Exit code, const std::string &part, const nlohmann::json &file) {
    expectError(code, part, [&] { open(file); });
  }
  Tokenizer tokenizer = open(tokenizerOf(tokenTexts));
};

/// Random text that leans on what the tokenizer knows, on white space and on characters of every length.
std::string randomText(std::mt19937 &random) {
  std::string text;
  for (size_t pieces = random() % 20; pieces > 0; --pieces)
    switch (random() % 6) {
    case 0:
      text += tokenTexts[random() % tokenTexts.size()];
      break;
    case 1:
      text += std::string(random() % 5, " \n\t\r"[random() % 4]);
      break;
    case 2:
      text += static_cast<char>(random() % 128);
      break;
    case 3:
      text += "<|bos|>";
      break;
    case 4:
      text += std::string(random() % 6, 'a');
      break;
    default: {
      const char32_t point = random() % 0x110000;
      text += point >= 0xd800 && point < 0xe000 ? "!" : encodeUtf8(point);
    }
    }
  return replaceInvalidUtf8(text);
}

/// tiktoken's rule by hand: of all neighbours whose concatenation is a token, the lowest id first, leftmost first.
std::vector<int32_t> mergeByRank(const Tokenizer &tokenizer, std::string_view piece) {
  std::map<std::string, int32_t, std::less<>> ranks;
  for (int32_t id = 0; id + 1 < static_cast<int32_t>(tokenizer.vocabSize()); ++id)
    ranks.emplace(tokenizer.bytes(id), id);
  if (const auto whole = ranks.find(piece); whole != ranks.end())
    return {whole->second};
  std::vector<std::string> parts;
  for (const char byte : piece)
    parts.emplace_back(1, byte);
  for (;;) {
    int32_t best = -1;
    size_t where = 0;
    for (size_t i = 0; i + 1 < parts.size(); ++i)
      if (const auto found = ranks.find(parts[i] + parts[i + 1]);
          found != ranks.end() && (best < 0 || found->second < best)) {
        best = found->second;
        where = i;
      }
    if (best < 0)
      break;
    parts[where] += parts[where + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(where) + 1);
  }
  std::vector<int32_t> ids;
  for (const std::string &part : parts)
    ids.push_back(ranks.at(part));
  return ids;
}

} // namespace

TEST_F(TokenizerTest, DecodesWhatItEncodes) {
  std::mt19937 random(1);
  for (int round = 0; round < 5000; ++round) {
    const std::string text = randomText(random);
    const std::vector<int32_t> ids = tokenizer.encode(text);
    EXPECT_EQ(tokenizer.decode(ids), text);
  }
  EXPECT_TRUE(tokenizer.encode("").empty());
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a\xff\xed\xa0\x80")), replaceInvalidUtf8("a\xff\xed\xa0\x80"));
}

TEST_F(TokenizerTest, MergesByTiktokensRule) {
  std::mt19937 random(2);
  const Splitter splitter(splitPattern);
  for (int round = 0; round < 1000; ++round) {
    const std::string text = randomText(random);
    std::vector<int32_t> expected;
    for (const std::string_view piece : splitter.split(text))
      for (const int32_t id : mergeByRank(tokenizer, piece))
        expected.push_back(id);
    EXPECT_EQ(tokenizer.encode(text), expected) << text;
  }
}

TEST_F(TokenizerTest, SpecialTokensAreNeverReadFromText) {
  const auto bos = tokenizer.special("<|bos|>");
  ASSERT_TRUE(bos);
  EXPECT_EQ(*bos, static_cast<int32_t>(tokenizer.vocabSize()) - 1);
  EXPECT_FALSE(tokenizer.special("<|eos|>"));
  for (const int32_t id : tokenizer.encode("<|bos|>"))
    EXPECT_NE(id, *bos);
  const std::vector<int32_t> ids{*bos, 'h', 'i'};
  EXPECT_EQ(tokenizer.decode(ids), "<|bos|>hi");
}

TEST_F(TokenizerTest, UnknownIdsAreRefused) {
  const auto size = static_cast<int32_t>(tokenizer.vocabSize());
  for (const int32_t id : {-1, size, INT32_MAX, INT32_MIN})
    expectError(Exit::Input, std::to_string(id), [&] { tokenizer.decode(std::span(&id, 1)); });
}

TEST_F(TokenizerTest, StreamEqualsDecode) {
  std::mt19937 random(3);
  for (int round = 0; round < 3000; ++round) {
    // Bytes of half characters, whole characters and specials in any order.
    std::vector<int32_t> ids;
    for (size_t i = random() % 12; i > 0; --i)
      ids.push_back(static_cast<int32_t>(random() % 3 ? 0x80 + random() % 0x80 : random() % tokenizer.vocabSize()));
    if (random() % 2) {
      const std::string text = randomText(random);
      for (const char byte : text)
        ids.push_back(static_cast<unsigned char>(byte));
    }
    StreamDecoder stream(tokenizer);
    std::string text;
    for (const int32_t id : ids) {
      const std::string piece = stream.push(id);
      EXPECT_EQ(replaceInvalidUtf8(piece), piece);
      text += piece;
    }
    text += stream.flush();
    EXPECT_EQ(text, tokenizer.decode(ids));
    EXPECT_EQ(stream.flush(), "");
  }
}

// Quadratic merging or backtracking would take hours here.
TEST_F(TokenizerTest, LongPiecesStayFast) {
  std::string mixed;
  std::mt19937 random(4);
  for (int i = 0; i < 1'000'000; ++i)
    mixed += "abthe"[random() % 5];
  for (const std::string &text :
       {std::string(1'000'000, 'a'), mixed, std::string(1'000'000, ' '), std::string(1'000'000, '!'),
        std::string(999'999, ' ') + "x", std::string(1'000'000, '\n')})
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
}

TEST_F(TokenizerTest, BothSpellingsOfMergesAgree) {
  const Tokenizer strings = open(tokenizerOf(tokenTexts, false));
  std::mt19937 random(5);
  for (int round = 0; round < 200; ++round) {
    const std::string text = randomText(random);
    EXPECT_EQ(strings.encode(text), tokenizer.encode(text));
  }
}

TEST_F(TokenizerTest, WholePiecesOnlyWithIgnoreMerges) {
  nlohmann::json file = tokenizerOf({"xyz"}); // no merge leads to it
  EXPECT_EQ(open(file).encode("xyz"), std::vector<int32_t>{256});
  file["model"]["ignore_merges"] = false;
  EXPECT_EQ(open(file).encode("xyz"), (std::vector<int32_t>{'x', 'y', 'z'}));
}

TEST_F(TokenizerTest, NamesWhatItDoesNotDo) {
  const auto changed = [](const std::function<void(nlohmann::json &)> &change) {
    nlohmann::json file = tokenizerOf(tokenTexts);
    change(file);
    return file;
  };
  using J = nlohmann::json;
  refused(Exit::Unsupported, "WordPiece", changed([](J &f) { f["model"]["type"] = "WordPiece"; }));
  refused(Exit::Unsupported, "normalizer 'NFC'", changed([](J &f) { f["normalizer"] = {{"type", "NFC"}}; }));
  refused(Exit::Unsupported, "'Metaspace'", changed([](J &f) { f["pre_tokenizer"] = {{"type", "Metaspace"}}; }));
  refused(Exit::Unsupported, "add_prefix_space",
          changed([](J &f) { f["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = true; }));
  refused(Exit::Unsupported, "Isolated",
          changed([](J &f) { f["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Removed"; }));
  refused(Exit::Unsupported, "compile",
          changed([](J &f) { f["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "(a"; }));
  refused(Exit::Unsupported, "byte-level", changed([](J &f) { f["model"]["vocab"]["▁a"] = 900; }));
  refused(Exit::Unsupported, "single byte 65", changed([](J &f) { f["model"]["vocab"].erase("A"); }));
  refused(Exit::Input, "'vocab'", changed([](J &f) { f["model"].erase("vocab"); }));
  refused(Exit::Input, "'merges'", changed([](J &f) { f["model"].erase("merges"); }));
  refused(Exit::Input, "merge 0", changed([](J &f) { f["model"]["merges"][0] = {"a", "q", "r"}; }));
  refused(Exit::Input, "'zz'", changed([](J &f) { f["model"]["merges"][0] = {"zz", "a"}; }));
  refused(Exit::Input, "both have the id 65", changed([](J &f) { f["model"]["vocab"]["qq"] = 65; }));
  refused(Exit::Input, "id '-1'", changed([](J &f) { f["model"]["vocab"]["qq"] = -1; }));
  refused(Exit::Input, "1e+99", changed([](J &f) { f["model"]["vocab"]["qq"] = 1e99; }));
  refused(Exit::Input, "added token", changed([](J &f) { f["added_tokens"][0].erase("id"); }));
  refused(Exit::Input, "'pre_tokenizer'", changed([](J &f) { f["pre_tokenizer"] = nullptr; }));
}

TEST(Splitter, WhiteSpaceIsUnicodes) {
  const auto pieces = [](const std::string &pattern, const std::string &text) {
    std::vector<std::string> out;
    for (const std::string_view piece : Splitter(pattern).split(text))
      out.emplace_back(piece);
    return out;
  };
  using P = std::vector<std::string>;
  // U+180E is no white space since Unicode 6.3; U+0085 and U+3000 are.
  EXPECT_EQ(pieces(R"(\s+|\S+)", "a\xe1\xa0\x8e"
                                 "b\xc2\x85\xe3\x80\x80"
                                 "c"),
            (P{"a\xe1\xa0\x8e"
               "b",
               "\xc2\x85\xe3\x80\x80", "c"}));
  EXPECT_EQ(pieces(R"([^\s]+|\\s)", "ab\\s c"), (P{"ab\\s", " ", "c"}));
  EXPECT_EQ(pieces("b", "abcb"), (P{"a", "b", "c", "b"}));
  EXPECT_EQ(pieces("x*", "ab"), (P{"ab"})) << "empty matches split nothing";
}

TEST(Splitter, FollowsUpstreamsPattern) {
  const auto count = [](const std::string &text) { return Splitter(splitPattern).split(text).size(); };
  EXPECT_EQ(count("we'LL"), 2u);
  EXPECT_EQ(count("it'ſ"), 2u) << "the long s matches s without case";
  EXPECT_EQ(count("12345"), 3u);
  EXPECT_EQ(count("a  b"), 3u) << "the last space goes with the word";
}
