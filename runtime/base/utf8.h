// UTF-8 as RFC 3629 defines it, with Python's and the Unicode standard's rule for replacing what is not.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace nanort {

/// The first unit of a non-empty text: a well-formed sequence, or the longest prefix of one ("maximal subpart": what
/// one U+FFFD stands for), at least one byte. `open`: the text ends where more bytes could still complete the sequence.
struct Utf8Step {
  size_t size = 1;
  bool valid = false;
  bool open = false;
};
Utf8Step nextUtf8(std::string_view text);

/// A copy with every ill-formed subpart replaced by U+FFFD, as Python's decode(errors="replace") does.
std::string replaceInvalidUtf8(std::string_view text);

inline constexpr std::string_view replacementText = "\xef\xbf\xbd"; // U+FFFD

/// A code point as UTF-8 (1 to 4 bytes).
std::string encodeUtf8(char32_t point);

} // namespace nanort
