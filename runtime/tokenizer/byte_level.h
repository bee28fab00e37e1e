// The byte-level alphabet that Hugging Face tokenizer files write tokens in: one printable character a byte, as GPT-2
// chose.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace nanort {

/// The character of each byte: itself where Latin-1 prints it, otherwise the next unused one from U+0100.
const std::array<char32_t, 256> &byteLevelAlphabet();

/// Bytes -> UTF-8 of their characters.
std::string toByteLevel(std::string_view bytes);

/// The inverse; nullopt if a character stands for no byte or the text is not UTF-8.
std::optional<std::string> fromByteLevel(std::string_view text);

} // namespace nanort
