#include "compiler/driver/Nesting.h"

using namespace nanocc;

std::optional<size_t> nanocc::nestsDeeperThan(llvm::StringRef text, size_t most) {
  size_t depth = 0, line = 1;
  for (size_t i = 0; i < text.size(); ++i)
    switch (text[i]) {
    case '\n':
      ++line;
      break;
    case '"':
      for (++i; i < text.size() && text[i] != '"' && text[i] != '\n'; ++i)
        i += text[i] == '\\';
      line += i < text.size() && text[i] == '\n';
      break;
    case '/':
      if (text.substr(i).starts_with("//")) {
        i = std::min(text.find('\n', i), text.size());
        ++line;
      }
      break;
    case '{':
    case '[':
    case '(':
    case '<':
      if (++depth > most)
        return line;
      break;
    case '>':
      if (i > 0 && text[i - 1] == '-')
        break;
      [[fallthrough]];
    case '}':
    case ']':
    case ')':
      depth -= depth > 0;
      break;
    default:
      break;
    }
  return std::nullopt;
}
