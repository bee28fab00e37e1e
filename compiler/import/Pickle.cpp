#include "compiler/import/Pickle.h"
#include "compiler/import/PickleText.h"
#include "runtime/base/error.h"
#include "runtime/base/text.h"
#include "runtime/base/utf8.h"

#include <bit>
#include <charconv>
#include <optional>
#include <unordered_map>

namespace nanocc {

using nanort::Exit;
using nanort::quote;
using Kind = PickleValue::Kind;

const PickleValue *PickleValue::find(std::string_view key) const {
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry)
    if (entry->first->is(Kind::Text) && entry->first->text == key)
      return entry->second;
  return nullptr;
}

/// The pickle machine: a stack of values, marks into it, a memo.
class PickleReader {
public:
  PickleReader(Pickle &pickle, std::span<const std::byte> data, const std::string &name,
               const std::set<std::string> &allowed)
      : pickle(pickle), name(name), allowed(allowed), data(reinterpret_cast<const char *>(data.data()), data.size()) {}

  void run() {
    constexpr size_t limit = size_t{64} << 20;
    if (data.size() > limit)
      refuse("is larger than 64 MiB");
    while (!pickle.top) {
      opcodeAt = position;
      step(take(1)[0]);
    }
  }

private:
  [[noreturn]] void refuse(const std::string &what) const {
    nanort::fail(Exit::Input, quote(name) + ": the pickle " + what + " (at byte " + std::to_string(opcodeAt) +
                                  "); nothing in it was executed");
  }

  // Input.
  std::string_view take(uint64_t size) {
    if (size > data.size() - position)
      refuse("is truncated: it needs " + std::to_string(size) + " bytes where " +
             std::to_string(data.size() - position) + " are left");
    const std::string_view bytes = data.substr(position, size);
    position += size;
    return bytes;
  }
  uint64_t number(size_t bytes) {
    uint64_t value = 0;
    const std::string_view text = take(bytes);
    for (size_t i = bytes; i-- > 0;)
      value = value << 8 | static_cast<unsigned char>(text[i]);
    return value;
  }
  std::string_view line() {
    const size_t end = data.find('\n', position);
    if (end == std::string_view::npos)
      refuse("is truncated: a line has no end");
    const std::string_view text = take(end - position);
    position += 1;
    return text;
  }

  // Values and the stack.
  PickleValue &make(Kind kind) {
    constexpr size_t limit = 1'000'000;
    if (pickle.values.size() >= limit)
      refuse("holds more than a million values");
    pickle.values.emplace_back().kind = kind;
    return pickle.values.back();
  }
  PickleValue &push(Kind kind) {
    stack.push_back(&make(kind));
    return *stack.back();
  }
  void pushInteger(int64_t value) { push(Kind::Integer).integer = value; }
  void pushBool(bool value) { push(Kind::Bool).integer = value; }
  void pushString(Kind kind, std::string_view bytes) {
    // Python's UTF-8 may hold lone surrogates, which no name or text here needs.
    push(kind).text = kind == Kind::Text ? nanort::replaceInvalidUtf8(bytes) : std::string(bytes);
  }
  size_t floor() const { return marks.empty() ? 0 : marks.back(); }
  PickleValue *pop() {
    if (stack.size() <= floor())
      refuse("takes a value from an empty stack");
    PickleValue *value = stack.back();
    stack.pop_back();
    return value;
  }
  PickleValue *peek() {
    PickleValue *value = pop();
    stack.push_back(value);
    return value;
  }
  std::vector<const PickleValue *> popMark() {
    if (marks.empty())
      refuse("closes a group that was not opened");
    const auto first = stack.begin() + static_cast<std::ptrdiff_t>(marks.back());
    std::vector<const PickleValue *> values(first, stack.end());
    stack.erase(first, stack.end());
    marks.pop_back();
    return values;
  }

  void pushItems(Kind kind, std::vector<const PickleValue *> items) { push(kind).items = std::move(items); }
  void pushTuple(size_t count) {
    std::vector<const PickleValue *> items(count);
    for (size_t i = count; i-- > 0;)
      items[i] = pop();
    pushItems(Kind::Tuple, std::move(items));
  }
  void append(const std::vector<const PickleValue *> &items, Kind kind) {
    PickleValue *list = peek();
    if (!list->is(kind))
      refuse("appends to something that is no list or set");
    list->items.insert(list->items.end(), items.begin(), items.end());
  }
  void setItems(const std::vector<const PickleValue *> &items) {
    PickleValue *dict = peek();
    if ((!dict->is(Kind::Dict) && !dict->is(Kind::Call)) || items.size() % 2 != 0)
      refuse("sets items of something that is no dictionary");
    for (size_t i = 0; i < items.size(); i += 2)
      dict->entries.emplace_back(items[i], items[i + 1]);
  }

  void pushGlobal(std::string_view module, std::string_view global) {
    std::string full = std::string(module) + "." + std::string(global);
    if (!allowed.contains(full))
      refuse("refers to " + quote(full) + ", which is not data of a checkpoint or tokenizer; do not trust this file");
    push(Kind::Global).text = std::move(full);
  }
  void call(const PickleValue *target, const PickleValue *arguments) {
    if (!target->is(Kind::Global) || !arguments->is(Kind::Tuple))
      refuse("calls something that is no named global");
    PickleValue &result = push(Kind::Call);
    result.target = target;
    result.items = arguments->items;
    copied += result.items.size();
    if (copied > 10'000'000) // one long tuple may be the arguments of many calls
      refuse("repeats long arguments");
  }
  void persistent(const PickleValue *id) { push(Kind::Persistent).target = id; }

  void remember(uint64_t index) { memo[index] = peek(); }
  void recall(uint64_t index) {
    const auto found = memo.find(index);
    if (found == memo.end())
      refuse("refers to the value " + std::to_string(index) + ", which was not stored");
    stack.push_back(found->second);
  }

  template <typename Number> Number parse(std::string_view text) {
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
      refuse("has the number " + quote(text) + ", which is malformed or too large");
    return value;
  }

  /// Two's complement, little endian, any length up to 8 bytes.
  void pushLong(uint64_t size) {
    if (size > 8)
      refuse("has an integer of more than 64 bits");
    uint64_t value = number(size);
    if (size > 0 && size < 8 && (value >> (8 * size - 1) & 1))
      value |= ~uint64_t{0} << 8 * size;
    pushInteger(static_cast<int64_t>(value));
  }

  /// The text forms of protocol 0, or a refusal.
  std::string unescaped(std::optional<std::string> text) const {
    if (!text)
      refuse("has a malformed string");
    return *std::move(text);
  }

  void step(char opcode);

  Pickle &pickle;
  const std::string &name;
  const std::set<std::string> &allowed;
  std::string_view data;
  size_t position = 0, opcodeAt = 0, copied = 0;
  std::vector<PickleValue *> stack;
  std::vector<size_t> marks;
  std::unordered_map<uint64_t, PickleValue *> memo;
};

/// One instruction; the letters are the format's (Python's Lib/pickletools.py documents each).
void PickleReader::step(char opcode) {
  switch (static_cast<unsigned char>(opcode)) {
  case 0x80: // PROTO
    if (const uint64_t protocol = number(1); protocol > 5)
      refuse("has protocol " + std::to_string(protocol) + ", newer than 5");
    return;
  case 0x95: // FRAME: a hint about reading ahead
    if (const uint64_t size = number(8); size > data.size() - position)
      refuse("is truncated: a frame of " + std::to_string(size) + " bytes goes past its end");
    return;
  case '.': // STOP
    pickle.top = pop();
    return;
  case '(': // MARK
    marks.push_back(stack.size());
    return;
  case '0': // POP, which may also take a mark back
    if (!marks.empty() && marks.back() == stack.size())
      marks.pop_back();
    else
      pop();
    return;
  case '1': // POP_MARK
    popMark();
    return;
  case '2': // DUP
    stack.push_back(peek());
    return;
  case 'N':
    push(Kind::None);
    return;
  case 0x88:
    return pushBool(true);
  case 0x89:
    return pushBool(false);
  case 'I': { // INT, which also spells the booleans "00" and "01"
    const std::string_view text = line();
    return text == "00" || text == "01" ? pushBool(text == "01") : pushInteger(parse<int64_t>(text));
  }
  case 'J': // BININT
    return pushInteger(static_cast<int32_t>(static_cast<uint32_t>(number(4))));
  case 'K': // BININT1
    return pushInteger(static_cast<int64_t>(number(1)));
  case 'M': // BININT2
    return pushInteger(static_cast<int64_t>(number(2)));
  case 'L': { // LONG
    const std::string_view text = line();
    return pushInteger(parse<int64_t>(text.ends_with('L') ? text.substr(0, text.size() - 1) : text));
  }
  case 0x8a: // LONG1
    return pushLong(number(1));
  case 0x8b: // LONG4
    return pushLong(number(4));
  case 'F': // FLOAT
    push(Kind::Float).real = parse<double>(line());
    return;
  case 'G': // BINFLOAT, big endian
    push(Kind::Float).real = std::bit_cast<double>(__builtin_bswap64(number(8)));
    return;
  case 'S': // STRING
    return pushString(Kind::Bytes, unescaped(pythonLiteral(line())));
  case 'T': // BINSTRING
  case 'B': // BINBYTES
    return pushString(Kind::Bytes, take(number(4)));
  case 'U': // SHORT_BINSTRING
  case 'C': // SHORT_BINBYTES
    return pushString(Kind::Bytes, take(number(1)));
  case 0x8e: // BINBYTES8
  case 0x96: // BYTEARRAY8
    return pushString(Kind::Bytes, take(number(8)));
  case 'V': // UNICODE
    return pushString(Kind::Text, unescaped(rawUnicode(line())));
  case 'X': // BINUNICODE
    return pushString(Kind::Text, take(number(4)));
  case 0x8c: // SHORT_BINUNICODE
    return pushString(Kind::Text, take(number(1)));
  case 0x8d: // BINUNICODE8
    return pushString(Kind::Text, take(number(8)));
  case ']':
    push(Kind::List);
    return;
  case ')':
    push(Kind::Tuple);
    return;
  case '}':
    push(Kind::Dict);
    return;
  case 0x8f: // EMPTY_SET
    push(Kind::Set);
    return;
  case 'l': // LIST
    return pushItems(Kind::List, popMark());
  case 't': // TUPLE
    return pushItems(Kind::Tuple, popMark());
  case 0x91: // FROZENSET
    return pushItems(Kind::Set, popMark());
  case 0x85: // TUPLE1, TUPLE2, TUPLE3
    return pushTuple(1);
  case 0x86:
    return pushTuple(2);
  case 0x87:
    return pushTuple(3);
  case 'd': { // DICT
    const std::vector<const PickleValue *> items = popMark();
    push(Kind::Dict);
    return setItems(items);
  }
  case 'a': // APPEND
    return append({pop()}, Kind::List);
  case 'e': // APPENDS
    return append(popMark(), Kind::List);
  case 0x90: // ADDITEMS
    return append(popMark(), Kind::Set);
  case 's': { // SETITEM
    const PickleValue *value = pop(), *key = pop();
    return setItems({key, value});
  }
  case 'u': // SETITEMS
    return setItems(popMark());
  case 'g': // GET
    return recall(parse<uint64_t>(line()));
  case 'h': // BINGET
    return recall(number(1));
  case 'j': // LONG_BINGET
    return recall(number(4));
  case 'p': // PUT
    return remember(parse<uint64_t>(line()));
  case 'q': // BINPUT
    return remember(number(1));
  case 'r': // LONG_BINPUT
    return remember(number(4));
  case 0x94: // MEMOIZE
    return remember(memo.size());
  case 'c': { // GLOBAL
    const std::string_view module = line();
    return pushGlobal(module, line());
  }
  case 0x93: { // STACK_GLOBAL
    const PickleValue *global = pop(), *module = pop();
    if (!global->is(Kind::Text) || !module->is(Kind::Text))
      refuse("names a global by something that is no text");
    return pushGlobal(module->text, global->text);
  }
  case 'i': { // INST
    const std::string_view module = line();
    pushGlobal(module, line());
    const PickleValue *target = pop();
    pushItems(Kind::Tuple, popMark());
    return call(target, pop());
  }
  case 'R':    // REDUCE
  case 0x81: { // NEWOBJ
    const PickleValue *arguments = pop(), *target = pop();
    return call(target, arguments);
  }
  case 'b': { // BUILD
    const PickleValue *state = pop();
    PickleValue *object = peek();
    if (!object->is(Kind::Call))
      refuse("sets the state of something that is no object");
    object->state = state;
    return;
  }
  case 'P': // PERSID
    pushString(Kind::Text, line());
    return persistent(pop());
  case 'Q': // BINPERSID
    return persistent(pop());
  default:
    // OBJ, NEWOBJ_EX, the extension registry and out-of-band buffers occur in no checkpoint.
    refuse("has the instruction " + std::to_string(static_cast<unsigned char>(opcode)) +
           ", unknown or not for plain data");
  }
}

Pickle::Pickle(std::span<const std::byte> data, const std::string &name, const std::set<std::string> &allowed) {
  PickleReader(*this, data, name, allowed).run();
}

} // namespace nanocc
