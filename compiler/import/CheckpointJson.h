// Members of a checkpoint's JSON files, checked.
#pragma once

#include "runtime/base/json.h"

#include <cstdint>
#include <optional>
#include <string>

namespace nanocc {

/// The member `key` of `object`, a whole number from 1 to 2^24: no dimension of a model is larger, and products of
/// three of them fit 64 bits wherever they are formed. Errors: Exit::Input naming `source` and the key.
uint64_t dimensionOf(const nlohmann::json &object, const char *key, const std::string &source);

/// The member `key` if it is there and not null. Errors: Exit::Input if it has another type.
std::optional<double> numberOf(const nlohmann::json &object, const char *key, const std::string &source);
std::optional<std::string> textOf(const nlohmann::json &object, const char *key, const std::string &source);

/// Whether the member `key` is there and not null.
bool has(const nlohmann::json &object, const char *key);

} // namespace nanocc
