#include "runtime/tokenizer/byte_level.h"
#include "runtime/base/utf8.h"

#include <unordered_map>

namespace nanort {

const std::array<char32_t, 256> &byteLevelAlphabet() {
  static const std::array<char32_t, 256> alphabet = [] {
    std::array<char32_t, 256> table{};
    char32_t next = 0x100;
    for (char32_t byte = 0; byte < 256; ++byte) {
      // 0xad is the soft hyphen, which prints nothing.
      const bool prints = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte != 0xad);
      table[byte] = prints ? byte : next++;
    }
    return table;
  }();
  return alphabet;
}

std::string toByteLevel(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes)
    text += encodeUtf8(byteLevelAlphabet()[static_cast<unsigned char>(byte)]);
  return text;
}

std::optional<std::string> fromByteLevel(std::string_view text) {
  static const std::unordered_map<std::string, char> bytes = [] {
    std::unordered_map<std::string, char> table;
    for (size_t byte = 0; byte < 256; ++byte)
      table.emplace(encodeUtf8(byteLevelAlphabet()[byte]), static_cast<char>(byte));
    return table;
  }();
  std::string out;
  while (!text.empty()) {
    const size_t size = nextUtf8(text).size;
    const auto byte = bytes.find(std::string(text.substr(0, size)));
    if (byte == bytes.end())
      return std::nullopt;
    out += byte->second;
    text.remove_prefix(size);
  }
  return out;
}

} // namespace nanort
