// What a tokenizer.json says, checked: tokens' bytes, merge rules, special tokens, split pattern.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

namespace nanort {

struct Vocabulary {
  struct Merge {
    uint32_t rank; // lower goes first
    int32_t result;
  };
  std::vector<std::string> bytes;                   // by id; empty: no token has this id
  std::unordered_map<std::string, int32_t> ids;     // of the ordinary tokens
  std::unordered_map<std::string, int32_t> special; // literal text -> id
  std::unordered_map<uint64_t, Merge> merges;       // key: pairKey(left, right)
  std::string pattern;
  bool wholePieces = false; // a piece that is a token is that token, whatever the merges say ("ignore_merges")

  static uint64_t pairKey(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
};

/// Reads the Hugging Face form of a byte-level BPE tokenizer. Errors: Exit::Input for damage, Exit::Unsupported naming
/// the part that this reader does not do (another model type, a normalizer, another pre-tokenizer).
Vocabulary readVocabulary(const std::filesystem::path &path);

} // namespace nanort
