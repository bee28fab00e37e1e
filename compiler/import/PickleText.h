// The escapes of strings in pickles of protocol 0, which is text.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace nanocc {

/// A quoted Python literal ('...' or "...") without its quotes and escapes. nullopt: malformed.
std::optional<std::string> pythonLiteral(std::string_view text);

/// Latin-1 text with \uXXXX and \UXXXXXXXX escapes, as UTF-8. nullopt: malformed.
std::optional<std::string> rawUnicode(std::string_view text);

} // namespace nanocc
