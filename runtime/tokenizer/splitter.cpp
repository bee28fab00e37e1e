#include "runtime/tokenizer/splitter.h"
#include "runtime/base/error.h"
#include "runtime/base/text.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <limits>
#include <pcre2.h>

namespace nanort {

struct Splitter::Code {
  pcre2_code *code;
  explicit Code(pcre2_code *code) : code(code) {}
  ~Code() { pcre2_code_free(code); }
  Code(const Code &) = delete;
  Code &operator=(const Code &) = delete;
};

/// PCRE2's \s counts U+180E, which stopped being white space in Unicode 6.3; the pattern's authors' engines follow the
/// standard, so \s and \S become the property's name.
static std::string withStandardSpace(const std::string &pattern) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '\\' || i + 1 == pattern.size()) {
      out += pattern[i];
      continue;
    }
    const char escaped = pattern[++i];
    if (escaped == 's')
      out += "\\p{White_Space}";
    else if (escaped == 'S')
      out += "\\P{White_Space}";
    else
      out += {'\\', escaped};
  }
  return out;
}

Splitter::Splitter(const std::string &pattern) {
  const std::string text = withStandardSpace(pattern);
  int error = 0;
  PCRE2_SIZE offset = 0;
  // Patterns are data of a model: callouts and \C (half a character) have no place in them.
  const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
  pcre2_code *compiled =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), options, &error, &offset, nullptr);
  if (!compiled) {
    PCRE2_UCHAR message[200] = {};
    pcre2_get_error_message(error, message, sizeof(message));
    fail(Exit::Unsupported, "split pattern " + quote(pattern) + " does not compile near offset " +
                                std::to_string(offset) + ": " + reinterpret_cast<const char *>(message));
  }
  code = std::make_shared<const Code>(compiled);
  // Where executable memory is denied this fails and matching is interpreted: slower, same result.
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
}

std::vector<std::string_view> Splitter::split(std::string_view text) const {
  std::vector<std::string_view> pieces;
  if (text.empty())
    return pieces;
  // Stack and limits of one call, so that calls may run at once. The limits bound memory, never the length of a text.
  struct Match {
    pcre2_match_data *data;
    pcre2_match_context *context = pcre2_match_context_create(nullptr);
    pcre2_jit_stack *stack = pcre2_jit_stack_create(size_t{32} << 10, size_t{64} << 20, nullptr);
    explicit Match(const pcre2_code *code) : data(pcre2_match_data_create_from_pattern(code, nullptr)) {
      if (!data || !context)
        fail(Exit::Memory, "no memory to split a text");
      if (stack)
        pcre2_jit_stack_assign(context, nullptr, stack);
      pcre2_set_match_limit(context, std::numeric_limits<uint32_t>::max());
      pcre2_set_depth_limit(context, std::numeric_limits<uint32_t>::max());
      pcre2_set_heap_limit(context, uint32_t{1} << 20); // KiB; for the interpreter
    }
    ~Match() {
      pcre2_jit_stack_free(stack);
      pcre2_match_context_free(context);
      pcre2_match_data_free(data);
    }
  } match(code->code);
  size_t end = 0; // of the last piece
  while (end < text.size()) {
    const int found = pcre2_match(code->code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), end,
                                  PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, match.data, match.context);
    if (found == PCRE2_ERROR_NOMATCH)
      break;
    if (found < 0)
      fail(Exit::Memory, "the split pattern gives up at byte " + std::to_string(end) + " of the text (PCRE2 error " +
                             std::to_string(found) + "); split the text into shorter ones");
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(match.data);
    // \K in a lookahead could set a start past the end or before the last piece.
    if (range[0] < end || range[1] <= range[0])
      fail(Exit::Unsupported, "the split pattern moves a match's start backwards; such patterns are not supported");
    if (range[0] > end)
      pieces.push_back(text.substr(end, range[0] - end));
    pieces.push_back(text.substr(range[0], range[1] - range[0]));
    end = range[1];
  }
  if (end < text.size())
    pieces.push_back(text.substr(end));
  return pieces;
}

} // namespace nanort
