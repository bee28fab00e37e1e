// Numbers and columns of text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace nanort::report {

/// As printf.
[[gnu::format(printf, 1, 2)]] std::string formatted(const char *format, ...);

/// With a fixed number of digits, so that a report's bytes do not depend on how a library prints a number; `otherwise`
/// for what nobody predicts.
std::string decimal(std::optional<double> value, int digits, const std::string &otherwise);

/// Padded with spaces to a width.
std::string right(const std::string &text, size_t width);
std::string left(const std::string &text, size_t width);

} // namespace nanort::report
