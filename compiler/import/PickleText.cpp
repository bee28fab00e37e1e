#include "compiler/import/PickleText.h"
#include "runtime/base/utf8.h"

#include <charconv>
#include <cstdint>

namespace nanocc {

/// The number that the first `digits` characters of `text` spell in hexadecimal.
static std::optional<uint32_t> hexNumber(std::string_view text, size_t digits) {
  text = text.substr(0, digits);
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (text.size() != digits || error != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

std::optional<std::string> pythonLiteral(std::string_view text) {
  if (text.size() < 2 || (text[0] != '\'' && text[0] != '"') || text.back() != text[0])
    return std::nullopt;
  text = text.substr(1, text.size() - 2);
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char escape = text[++i];
    static constexpr std::string_view letters = "abfnrtv", values = "\a\b\f\n\r\t\v";
    if (escape == 'x') {
      const std::optional<uint32_t> byte = hexNumber(text.substr(i + 1), 2);
      if (!byte)
        return std::nullopt;
      out += static_cast<char>(*byte);
      i += 2;
    } else if (const size_t letter = letters.find(escape); letter != std::string_view::npos) {
      out += values[letter];
    } else {
      out += escape;
    }
  }
  return out;
}

std::optional<std::string> rawUnicode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    uint32_t point = static_cast<unsigned char>(text[i]);
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == 'u' || text[i + 1] == 'U')) {
      const size_t digits = text[++i] == 'u' ? 4 : 8;
      const std::optional<uint32_t> escaped = hexNumber(text.substr(i + 1), digits);
      if (!escaped || *escaped > 0x10ffff)
        return std::nullopt;
      point = *escaped;
      i += digits;
    }
    out += nanort::encodeUtf8(point);
  }
  return out;
}

} // namespace nanocc
