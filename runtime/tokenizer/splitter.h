// Splits text into the pieces that a tokenizer merges within, by the tokenizer file's own pattern.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace nanort {

class Splitter {
public:
  /// `pattern` in the syntax that tokenizer files use (Rust's regex with lookaround, Oniguruma). Errors:
  /// Exit::Unsupported with the place in the pattern.
  explicit Splitter(const std::string &pattern);

  /// Pieces of `text`, which must be valid UTF-8; their concatenation is `text`. What no match covers is a piece too.
  /// Thread-safe. Errors: Exit::Memory if the pattern's backtracking exhausts its stack.
  std::vector<std::string_view> split(std::string_view text) const;

private:
  struct Code;
  std::shared_ptr<const Code> code;
};

} // namespace nanort
