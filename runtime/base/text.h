// Text for error messages: names from untrusted files made printable, and the names a wrong one was probably meant to
// be.
#pragma once

#include <cstddef>
#include <cstdint>

#include <string>
#include <string_view>
#include <vector>

namespace nanort {

/// `text` in single quotes on one line: control characters and bytes that are not UTF-8 as \xNN, cut after 120 bytes.
std::string quote(std::string_view text);

/// Up to `count` of `candidates` by edit distance to `name`, nearest first.
std::vector<std::string> nearest(std::string_view name, const std::vector<std::string> &candidates, size_t count = 3);

/// "[4, 8]", as error messages write shapes.
std::string shapeText(const std::vector<uint64_t> &shape);

} // namespace nanort
