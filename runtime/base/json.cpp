#include "runtime/base/json.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/text.h"

#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace nanort {

using Json = nlohmann::json;

Json parseJson(std::string_view text, int limit) {
  std::vector<std::set<std::string>> keys; // of the objects that are open
  const auto check = [&](int depth, Json::parse_event_t event, Json &parsed) {
    using Event = Json::parse_event_t;
    if ((event == Event::object_start || event == Event::array_start) && depth >= limit)
      throw std::runtime_error("JSON nested deeper than " + std::to_string(limit) + " levels");
    if (event == Event::object_start)
      keys.emplace_back();
    if (event == Event::object_end)
      keys.pop_back();
    if (event == Event::key && !keys.back().insert(parsed.get_ref<const std::string &>()).second)
      throw std::runtime_error("the key " + quote(parsed.get_ref<const std::string &>()) + " is given twice");
    return true;
  };
  try {
    return Json::parse(text.begin(), text.end(), check);
  } catch (const Json::parse_error &error) {
    // The library's own text quotes the input, which may be long.
    throw std::runtime_error("not JSON at byte " + std::to_string(error.byte));
  } catch (const Json::exception &error) {
    throw std::runtime_error(std::string("not usable JSON: ") + error.what());
  }
}

Json readJson(const std::filesystem::path &path) {
  const std::string text = readText(path);
  try {
    Json value = parseJson(text);
    if (!value.is_object())
      throw std::runtime_error("not a JSON object");
    return value;
  } catch (const Error &) {
    throw;
  } catch (const std::exception &error) {
    fail(Exit::Input, quote(path.native()) + ": " + error.what() + "; write or download it again");
  }
}

} // namespace nanort
