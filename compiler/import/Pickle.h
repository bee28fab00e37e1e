// Python pickles read as plain data. Nothing is ever called: a class or function is only a name, taken from a list that
// the caller allows, and "calling" it gives a record of the name and its arguments.
#pragma once

#include <cstdint>
#include <deque>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nanocc {

struct PickleValue {
  enum class Kind { None, Bool, Integer, Float, Bytes, Text, List, Tuple, Set, Dict, Global, Call, Persistent };
  Kind kind = Kind::None;
  int64_t integer = 0;                    // Bool, Integer
  double real = 0;                        // Float
  std::string text;                       // Bytes, Text (UTF-8); Global: "module.name"
  std::vector<const PickleValue *> items; // List, Tuple, Set; Call: the arguments
  std::vector<std::pair<const PickleValue *, const PickleValue *>> entries; // Dict; Call: what was stored in the result
  const PickleValue *target = nullptr;                                      // Call: its Global; Persistent: its id
  const PickleValue *state = nullptr;                                       // Call: what BUILD gave it

  bool is(Kind other) const { return kind == other; }
  bool isCallOf(std::string_view name) const { return kind == Kind::Call && target->text == name; }
  /// Value of a Text key of a Dict (the last one given, as in Python), null if there is none.
  const PickleValue *find(std::string_view key) const;
};

/// A parsed pickle (protocols 0 to 5). Values refer to each other freely, even in circles; the pickle owns them all.
class Pickle {
public:
  /// `name` is for messages; `allowed` holds "module.name". Errors: Exit::Input naming the place, for anything
  /// truncated or malformed, any other global (by name), an extension or out-of-band buffer, and above 64 MiB or a
  /// million values.
  Pickle(std::span<const std::byte> data, const std::string &name, const std::set<std::string> &allowed);
  const PickleValue &root() const { return *top; }

private:
  friend class PickleReader;
  std::deque<PickleValue> values; // stable addresses; destruction does not recurse
  const PickleValue *top = nullptr;
};

} // namespace nanocc
