#include "runtime/tokenizer/vocabulary.h"
#include "runtime/base/error.h"
#include "runtime/base/json.h"
#include "runtime/base/text.h"
#include "runtime/tokenizer/byte_level.h"

namespace nanort {

using Json = nlohmann::json;

namespace {

class VocabularyReader {
public:
  explicit VocabularyReader(const std::filesystem::path &path) : path(path), file(readJson(path)) {}

  Vocabulary read() {
    if (const Json *normalizer = member(file, "normalizer"))
      unsupported("normalizer " + typeOf(*normalizer));
    const Json &model = object(file, "model");
    if (const Json *type = member(model, "type"); type && *type != "BPE")
      unsupported("model type " + type->dump());
    for (const char *key : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (const Json *affix = member(model, key); affix && *affix != "")
        unsupported("model." + std::string(key));
    if (const Json *dropout = member(model, "dropout"); dropout && *dropout != 0.0)
      unsupported("model.dropout");
    vocabulary.wholePieces = flag(model, "ignore_merges", false);
    readAddedTokens();
    readTokens(object(model, "vocab"));
    readMerges(model);
    readPreTokenizer();
    return std::move(vocabulary);
  }

private:
  [[noreturn]] void refuse(const std::string &what) const {
    fail(Exit::Input, quote(path.native()) + ": " + what + "; write or download it again");
  }
  [[noreturn]] void unsupported(const std::string &what) const {
    fail(Exit::Unsupported, quote(path.native()) + ": " + what +
                                " is not supported; this tokenizer does byte-level BPE with a Split pattern");
  }

  /// A member that is there and not null.
  static const Json *member(const Json &parent, const char *key) {
    const auto found = parent.find(key);
    return found == parent.end() || found->is_null() ? nullptr : &*found;
  }
  const Json &object(const Json &parent, const char *key) const {
    const Json *found = member(parent, key);
    if (!found || !found->is_object())
      refuse(quote(key) + " is missing or not an object");
    return *found;
  }
  bool flag(const Json &parent, const char *key, bool otherwise) const {
    const Json *found = member(parent, key);
    if (found && !found->is_boolean())
      refuse(quote(key) + " is not true or false");
    return found ? found->get<bool>() : otherwise;
  }
  std::string typeOf(const Json &part) const {
    const Json *type = part.is_object() ? member(part, "type") : nullptr;
    return quote(type && type->is_string() ? type->get<std::string>() : "of no type");
  }

  void addToken(const std::string &name, const Json &id, std::string bytes) {
    constexpr int64_t limit = 1 << 24; // far above any vocabulary: an id is an index into a table
    if (!id.is_number_integer() || id < 0 || id >= limit)
      refuse("token " + quote(name) + " has the id " + quote(id.dump()) + ", not an integer from 0 below 16777216");
    if (bytes.empty())
      refuse("token " + id.dump() + " is empty");
    const auto index = id.get<size_t>();
    if (index >= vocabulary.bytes.size())
      vocabulary.bytes.resize(index + 1);
    if (!vocabulary.bytes[index].empty())
      refuse("tokens " + quote(vocabulary.bytes[index]) + " and " + quote(name) + " both have the id " + id.dump());
    vocabulary.bytes[index] = std::move(bytes);
  }

  void readAddedTokens() {
    const Json *added = member(file, "added_tokens");
    if (!added)
      return;
    if (!added->is_array())
      refuse("'added_tokens' is not a list");
    for (const Json &entry : *added) {
      const Json *content = entry.is_object() ? member(entry, "content") : nullptr;
      if (!content || !content->is_string() || !entry.contains("id"))
        refuse("an added token lacks content or id");
      const auto text = content->get<std::string>();
      addToken(text, entry["id"], text);
      vocabulary.special.emplace(text, entry["id"].get<int32_t>());
    }
  }

  void readTokens(const Json &tokens) {
    for (const auto &[text, id] : tokens.items()) {
      // Some writers list added tokens here too.
      if (const auto special = vocabulary.special.find(text);
          special != vocabulary.special.end() && id == special->second)
        continue;
      std::optional<std::string> bytes = fromByteLevel(text);
      if (!bytes)
        unsupported("token " + quote(text) + ", which is not spelled in the byte-level alphabet,");
      addToken(text, id, *bytes);
      vocabulary.ids.emplace(std::move(*bytes), id.get<int32_t>());
    }
    for (int byte = 0; byte < 256; ++byte)
      if (!vocabulary.ids.contains(std::string(1, static_cast<char>(byte))))
        unsupported("a vocabulary without a token for the single byte " + std::to_string(byte));
  }

  void readMerges(const Json &model) {
    const Json *merges = member(model, "merges");
    if (!merges || !merges->is_array())
      refuse("'merges' is missing or not a list");
    uint32_t rank = 0;
    int32_t previous = -1;
    for (size_t i = 0; i < merges->size(); ++i) {
      const auto [left, right] = mergeParts((*merges)[i], i);
      const int32_t result =
          idOf(vocabulary.bytes[static_cast<size_t>(left)] + vocabulary.bytes[static_cast<size_t>(right)], i);
      // Neighbouring rules with one result are the splits of one token: a single rule to tiktoken, which takes the
      // leftmost place where any of them applies.
      rank += i > 0 && result != previous;
      previous = result;
      vocabulary.merges.try_emplace(Vocabulary::pairKey(left, right), Vocabulary::Merge{rank, result});
    }
  }

  /// A rule is ["a", "b"], or "a b" in older files (the alphabet has no space).
  std::pair<int32_t, int32_t> mergeParts(const Json &merge, size_t index) const {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
      return {partOf(merge[0].get<std::string>(), index), partOf(merge[1].get<std::string>(), index)};
    const std::string text = merge.is_string() ? merge.get<std::string>() : "";
    const size_t space = text.find(' ');
    if (space == std::string::npos)
      refuse("merge " + std::to_string(index) + " is neither \"left right\" nor [\"left\", \"right\"]");
    return {partOf(text.substr(0, space), index), partOf(text.substr(space + 1), index)};
  }
  int32_t partOf(const std::string &text, size_t index) const {
    const std::optional<std::string> bytes = fromByteLevel(text);
    return idOf(bytes ? *bytes : text, index);
  }
  int32_t idOf(const std::string &bytes, size_t index) const {
    const auto found = vocabulary.ids.find(bytes);
    if (found == vocabulary.ids.end())
      refuse("merge " + std::to_string(index) + " needs " + quote(bytes) + ", which is not in the vocabulary");
    return found->second;
  }

  void readPreTokenizer() {
    const Json &top = object(file, "pre_tokenizer");
    if (typeOf(top) != "'Sequence'")
      return readPreTokenizerStep(top, true);
    const Json *steps = member(top, "pretokenizers");
    if (!steps || !steps->is_array() || steps->empty())
      refuse("the pre-tokenizer Sequence has no list 'pretokenizers'");
    for (size_t i = 0; i < steps->size(); ++i)
      readPreTokenizerStep((*steps)[i], i == 0);
  }

  /// The first step splits by a pattern, any later one only spells bytes.
  void readPreTokenizerStep(const Json &step, bool first) {
    const std::string type = typeOf(step);
    if (first && type == "'Split'") {
      const Json *pattern = member(step, "pattern");
      const Json *regex = pattern && pattern->is_object() ? member(*pattern, "Regex") : nullptr;
      if (!regex || !regex->is_string())
        unsupported("a Split without a Regex pattern");
      if (const Json *behavior = member(step, "behavior"); !behavior || *behavior != "Isolated")
        unsupported("a Split whose behavior is not Isolated");
      if (flag(step, "invert", false))
        unsupported("an inverted Split");
      vocabulary.pattern = regex->get<std::string>();
      return;
    }
    if (first || type != "'ByteLevel'")
      unsupported("pre-tokenizer " + type + (first ? " as the first step" : " as a later step"));
    if (flag(step, "add_prefix_space", true) || flag(step, "use_regex", true))
      unsupported("pre-tokenizer ByteLevel with add_prefix_space or use_regex");
  }

  const std::filesystem::path &path;
  const Json file;
  Vocabulary vocabulary;
};

} // namespace

Vocabulary readVocabulary(const std::filesystem::path &path) { return VocabularyReader(path).read(); }

} // namespace nanort
