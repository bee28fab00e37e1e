#include "runtime/report/format.h"

#include <cstdarg>
#include <cstdio>

namespace nanort::report {

std::string formatted(const char *format, ...) {
  va_list values, again;
  va_start(values, format);
  va_copy(again, values);
  std::string text(static_cast<size_t>(std::vsnprintf(nullptr, 0, format, values)), '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, again);
  va_end(again);
  va_end(values);
  return text;
}

std::string decimal(std::optional<double> value, int digits, const std::string &otherwise) {
  return value ? formatted("%.*f", digits, *value) : otherwise;
}

std::string right(const std::string &text, size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

std::string left(const std::string &text, size_t width) {
  return text.size() < width ? text + std::string(width - text.size(), ' ') : text;
}

} // namespace nanort::report
