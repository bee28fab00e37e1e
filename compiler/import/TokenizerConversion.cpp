#include "compiler/import/TokenizerConversion.h"
#include "compiler/import/Pickle.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/json.h"
#include "runtime/base/text.h"
#include "runtime/tokenizer/byte_level.h"
#include "runtime/tokenizer/splitter.h"
#include "runtime/tokenizer/tokenizer.h"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace nanocc {

using nanort::Exit;
using nanort::fail;
using nanort::quote;
using Kind = PickleValue::Kind;

namespace {

std::string jsonText(const std::string &text) { return nlohmann::json(text).dump(); }

/// The state of a tiktoken.Encoding, and its conversion.
class Encoding {
public:
  Encoding(const PickleValue &root, const std::string &name) : name(name) {
    if (!root.isCallOf("tiktoken.core.Encoding") || !root.state)
      refuse("is not a pickled tiktoken Encoding");
    if (root.state->is(Kind::Text))
      fail(Exit::Unsupported, quote(name) + " only names the stock encoding " + quote(root.state->text) +
                                  "; nanochat's own tokenizers hold their vocabulary");
    if (!root.state->is(Kind::Dict))
      refuse("has an Encoding whose state is not a dictionary");
    pattern = member(*root.state, "pat_str", Kind::Text).text;
    for (const auto &[token, id] : member(*root.state, "mergeable_ranks", Kind::Dict).entries)
      addToken(*token, *id, Kind::Bytes, ordinary);
    for (const auto &[token, id] : member(*root.state, "special_tokens", Kind::Dict).entries)
      addToken(*token, *id, Kind::Text, special);
  }

  void check(uint64_t vocab) const {
    const uint64_t count = byId.empty() ? 0 : static_cast<uint64_t>(byId.rbegin()->first) + 1;
    if (count != vocab)
      refuse("has " + std::to_string(count) + " ids where the model's vocabulary has " + std::to_string(vocab) +
             "; take the tokenizer the model was trained with");
    for (int byte = 0; byte < 256; ++byte)
      if (!ordinary.contains(std::string(1, static_cast<char>(byte))))
        fail(Exit::Unsupported, quote(name) + " has no token for the single byte " + std::to_string(byte));
    nanort::Splitter{pattern}; // refuses what the runtime could not run
  }

  /// Text written by hand: the order of the members and tokens is the ids', whatever a JSON library sorts by.
  std::string json() const {
    std::string out = "{\n\"version\": \"1.0\",\n\"truncation\": null,\n\"padding\": null,\n\"added_tokens\": [";
    const char *separator = "\n";
    for (const auto &[id, token] : byId) {
      if (ordinary.contains(*token))
        continue;
      out +=
          separator + ("{\"id\": " + std::to_string(id)) + ", \"content\": " + jsonText(*token) +
          ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true}";
      separator = ",\n";
    }
    out +=
        "\n],\n\"normalizer\": null,\n\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [\n"
        "{\"type\": \"Split\", \"pattern\": {\"Regex\": " +
        jsonText(pattern) +
        "}, \"behavior\": \"Isolated\", \"invert\": false},\n"
        "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": false}]},\n"
        "\"post_processor\": null,\n"
        "\"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, "
        "\"use_regex\": true},\n"
        "\"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, \"continuing_subword_prefix\": null, "
        "\"end_of_word_suffix\": null,\n\"fuse_unk\": false, \"byte_fallback\": false, \"ignore_merges\": true,\n"
        "\"vocab\": {";
    separator = "\n";
    for (const auto &[id, token] : byId) {
      if (!ordinary.contains(*token))
        continue;
      out += separator + jsonText(nanort::toByteLevel(*token)) + ": " + std::to_string(id);
      separator = ",\n";
    }
    return out + "\n},\n\"merges\": [" + merges() + "\n]}\n}\n";
  }

private:
  [[noreturn]] void refuse(const std::string &what) const { fail(Exit::Input, quote(name) + " " + what); }

  const PickleValue &member(const PickleValue &state, const char *key, Kind kind) const {
    const PickleValue *value = state.find(key);
    if (!value || !value->is(kind))
      refuse("has an Encoding without a usable " + quote(key));
    return *value;
  }

  void addToken(const PickleValue &token, const PickleValue &id, Kind kind,
                std::unordered_map<std::string, int64_t> &tokens) {
    constexpr int64_t maxId = 1 << 24;
    constexpr size_t maxBytes = 1024; // splitting a token costs the square of its length
    if (!token.is(kind) || token.text.empty() || !id.is(Kind::Integer) || id.integer < 0 || id.integer >= maxId)
      refuse("has a malformed token or an id outside 0 to 16777215");
    if (token.text.size() > maxBytes)
      fail(Exit::Unsupported, quote(name) + " has a token of more than 1024 bytes");
    const std::string &text = tokens.emplace(token.text, id.integer).first->first;
    if (ordinary.contains(text) && special.contains(text))
      refuse("has the token " + quote(text) + " both as ordinary and as special");
    if (tokens.at(text) != id.integer || !byId.emplace(id.integer, &text).second)
      refuse("has the id " + std::to_string(id.integer) + " or the token " + quote(text) + " twice");
  }

  /// tiktoken merges the neighbours whose concatenation has the lowest rank. A list of pairs says the same if it has
  /// every split of every token, by the rank of the whole; splits of one token by their left part.
  std::string merges() const {
    std::string out;
    const char *separator = "\n";
    for (const auto &[id, token] : byId) {
      if (!ordinary.contains(*token))
        continue;
      std::vector<std::pair<int64_t, size_t>> splits; // rank of the left part, its length
      for (size_t at = 1; at < token->size(); ++at)
        if (const auto left = ordinary.find(token->substr(0, at));
            left != ordinary.end() && ordinary.contains(token->substr(at)))
          splits.emplace_back(left->second, at);
      std::sort(splits.begin(), splits.end());
      for (const auto &[rank, at] : splits) {
        out += separator + ("[" + jsonText(nanort::toByteLevel(token->substr(0, at)))) + ", " +
               jsonText(nanort::toByteLevel(token->substr(at))) + "]";
        separator = ",\n";
      }
    }
    return out;
  }

  const std::string &name;
  std::string pattern;
  std::unordered_map<std::string, int64_t> ordinary, special;
  std::map<int64_t, const std::string *> byId;
};

} // namespace

std::string tokenizerJson(std::span<const std::byte> pickle, const std::string &name, uint64_t vocab) {
  const Pickle parsed(pickle, name, {"tiktoken.core.Encoding"});
  const Encoding encoding(parsed.root(), name);
  encoding.check(vocab);
  return encoding.json();
}

std::string importTokenizer(const std::filesystem::path &path, uint64_t vocab) {
  const std::string text = nanort::readText(path);
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos || text[first] != '{')
    return tokenizerJson(std::as_bytes(std::span(text)), path.native(), vocab);
  const uint64_t count = nanort::Tokenizer::open(path).vocabSize();
  if (count != vocab)
    fail(Exit::Input, quote(path.native()) + " has " + std::to_string(count) +
                          " ids where the model's vocabulary has " + std::to_string(vocab) +
                          "; take the tokenizer the model was trained with");
  return text;
}

} // namespace nanocc
