// Guards MLIR's parser, which recurses, against texts that nest deeper than its stack.
#pragma once

#include "llvm/ADT/StringRef.h"

#include <optional>

namespace nanocc {

/// The line, from 1, at which brackets of any kind stand more than `most` deep; nullopt if none does. Strings and
/// comments count as nothing, and `->` is no bracket.
std::optional<size_t> nestsDeeperThan(llvm::StringRef text, size_t most);

/// Deeper than any module of this project by an order of magnitude, and far from the end of a stack of 8 MiB.
inline constexpr size_t mostNesting = 256;

} // namespace nanocc
