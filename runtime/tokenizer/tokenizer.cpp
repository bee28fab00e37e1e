#include "runtime/tokenizer/tokenizer.h"
#include "runtime/base/error.h"
#include "runtime/base/utf8.h"
#include "runtime/tokenizer/splitter.h"
#include "runtime/tokenizer/vocabulary.h"

#include <array>
#include <queue>

namespace nanort {

struct Tokenizer::Data {
  explicit Data(Vocabulary read) : vocabulary(std::move(read)), splitter(vocabulary.pattern) {
    for (size_t byte = 0; byte < 256; ++byte)
      byteIds[byte] = vocabulary.ids.at(std::string(1, static_cast<char>(byte)));
  }

  void encodePiece(std::string_view piece, std::vector<int32_t> &out) const;

  Vocabulary vocabulary;
  Splitter splitter;
  std::array<int32_t, 256> byteIds{};
};

namespace {

/// A merge that applied to two neighbours when it was found.
struct Candidate {
  uint32_t rank;
  uint32_t left; // position of the left symbol: the leftmost wins among equals
  int32_t leftId, rightId, result;
  bool operator>(const Candidate &other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
};

} // namespace

void Tokenizer::Data::encodePiece(std::string_view piece, std::vector<int32_t> &out) const {
  if (vocabulary.wholePieces || piece.size() == 1) {
    if (const auto whole = vocabulary.ids.find(std::string(piece)); whole != vocabulary.ids.end())
      return out.push_back(whole->second);
  }
  // Symbols as a doubly linked list over the bytes' positions; a merged-away symbol has id -1. The heap may hold stale
  // candidates: one counts only if both its symbols are still there.
  constexpr uint32_t none = ~uint32_t{0};
  struct Symbol {
    int32_t id;
    uint32_t previous, next;
  };
  if (piece.size() >= none)
    fail(Exit::Input, "a piece of text of 4 GiB or more cannot be encoded; split the text");
  const auto count = static_cast<uint32_t>(piece.size());
  std::vector<Symbol> symbols(count);
  for (uint32_t i = 0; i < count; ++i)
    symbols[i] = {byteIds[static_cast<unsigned char>(piece[i])], i == 0 ? none : i - 1, i + 1 == count ? none : i + 1};

  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> heap;
  const auto consider = [&](uint32_t left) {
    if (left == none || symbols[left].next == none)
      return;
    const int32_t leftId = symbols[left].id, rightId = symbols[symbols[left].next].id;
    const auto merge = vocabulary.merges.find(Vocabulary::pairKey(leftId, rightId));
    if (merge != vocabulary.merges.end())
      heap.push({merge->second.rank, left, leftId, rightId, merge->second.result});
  };
  for (uint32_t i = 0; i < count; ++i)
    consider(i);
  while (!heap.empty()) {
    const Candidate best = heap.top();
    heap.pop();
    Symbol &left = symbols[best.left];
    if (left.id != best.leftId || left.next == none || symbols[left.next].id != best.rightId)
      continue;
    Symbol &right = symbols[left.next];
    left.id = best.result;
    left.next = right.next;
    right.id = -1;
    if (left.next != none)
      symbols[left.next].previous = best.left;
    consider(left.previous);
    consider(best.left);
  }
  for (uint32_t i = 0; i != none; i = symbols[i].next)
    out.push_back(symbols[i].id);
}

Tokenizer Tokenizer::open(const std::filesystem::path &path) {
  Tokenizer tokenizer;
  tokenizer.data = std::make_shared<const Data>(readVocabulary(path));
  return tokenizer;
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  const std::string valid = replaceInvalidUtf8(text);
  std::vector<int32_t> ids;
  for (const std::string_view piece : data->splitter.split(valid))
    data->encodePiece(piece, ids);
  return ids;
}

std::string_view Tokenizer::bytes(int32_t id) const {
  const std::vector<std::string> &bytes = data->vocabulary.bytes;
  if (id < 0 || static_cast<size_t>(id) >= bytes.size() || bytes[static_cast<size_t>(id)].empty())
    fail(Exit::Input, "the tokenizer has no token " + std::to_string(id) + "; its ids go from 0 to " +
                          std::to_string(bytes.size() - 1));
  return bytes[static_cast<size_t>(id)];
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (const int32_t id : ids)
    text += bytes(id);
  return replaceInvalidUtf8(text);
}

std::optional<int32_t> Tokenizer::special(std::string_view name) const {
  const auto found = data->vocabulary.special.find(std::string(name));
  return found == data->vocabulary.special.end() ? std::nullopt : std::optional(found->second);
}

size_t Tokenizer::vocabSize() const { return data->vocabulary.bytes.size(); }

std::string StreamDecoder::push(int32_t id) {
  pending += tokenizer.bytes(id);
  std::string text;
  std::string_view rest = pending;
  while (!rest.empty()) {
    const Utf8Step step = nextUtf8(rest);
    if (step.open)
      break;
    text += step.valid ? rest.substr(0, step.size) : replacementText;
    rest.remove_prefix(step.size);
  }
  pending.erase(0, pending.size() - rest.size());
  return text;
}

std::string StreamDecoder::flush() {
  const bool incomplete = !pending.empty();
  pending.clear();
  return incomplete ? std::string(replacementText) : "";
}

} // namespace nanort
