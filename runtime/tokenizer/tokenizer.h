// Text <-> token ids: byte-level BPE from a Hugging Face tokenizer.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nanort {

/// Cheap to copy; all members may be called from several threads.
class Tokenizer {
public:
  /// Errors: Exit::Input (damaged), Exit::Unsupported (well-formed, but not byte-level BPE with a split pattern).
  static Tokenizer open(const std::filesystem::path &path);

  /// Ids of `text`. Ordinary encoding: the text of a special token becomes plain bytes, never the token. Bytes that are
  /// not UTF-8 count as U+FFFD. Time is O(n log n) in the length of the longest piece.
  std::vector<int32_t> encode(std::string_view text) const;

  /// Text of `ids`; special tokens as their literal text, bytes that are not UTF-8 as U+FFFD (as Python's
  /// errors="replace" places it). Errors: Exit::Input for an id without a token.
  std::string decode(std::span<const int32_t> ids) const;

  /// Bytes of one token; they need not be whole characters. Errors: Exit::Input for an id without a token.
  std::string_view bytes(int32_t id) const;

  /// Id of a special token such as "<|bos|>".
  std::optional<int32_t> special(std::string_view name) const;

  /// One more than the highest id.
  size_t vocabSize() const;

private:
  struct Data;
  std::shared_ptr<const Data> data;
};

/// Decodes token by token. What push() and flush() return, in order, is exactly decode() of all the ids: a character
/// that several tokens make up is held back until it is whole.
class StreamDecoder {
public:
  explicit StreamDecoder(Tokenizer tokenizer) : tokenizer(std::move(tokenizer)) {}
  std::string push(int32_t id);
  /// The end: U+FFFD if a character was left incomplete, otherwise nothing.
  std::string flush();

private:
  Tokenizer tokenizer;
  std::string pending; // at most one incomplete character
};

} // namespace nanort
