#include "compiler/import/CheckpointJson.h"
#include "runtime/base/error.h"
#include "runtime/base/text.h"

namespace nanocc {

using nanort::Exit;
using nanort::fail;
using nanort::quote;

bool has(const nlohmann::json &object, const char *key) {
  const auto found = object.find(key);
  return found != object.end() && !found->is_null();
}

uint64_t dimensionOf(const nlohmann::json &object, const char *key, const std::string &source) {
  if (!has(object, key))
    fail(Exit::Input, quote(source) + " lacks the key " + quote(key));
  const nlohmann::json &value = object[key];
  if (!value.is_number_unsigned() || value < 1 || value > 1 << 24)
    fail(Exit::Input,
         quote(source) + ": " + quote(key) + " is " + quote(value.dump()) + ", not a whole number from 1 to 16777216");
  return value.get<uint64_t>();
}

std::optional<double> numberOf(const nlohmann::json &object, const char *key, const std::string &source) {
  if (!has(object, key))
    return std::nullopt;
  if (!object[key].is_number())
    fail(Exit::Input, quote(source) + ": " + quote(key) + " is not a number");
  return object[key].get<double>();
}

std::optional<std::string> textOf(const nlohmann::json &object, const char *key, const std::string &source) {
  if (!has(object, key))
    return std::nullopt;
  if (!object[key].is_string())
    fail(Exit::Input, quote(source) + ": " + quote(key) + " is not text");
  return object[key].get<std::string>();
}

} // namespace nanocc
