// JSON from files nobody vouches for.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

namespace nanort {

/// Parses one JSON value. Refuses nesting deeper than `depth` (each level costs memory out of proportion to the text)
/// and a key given twice in one object (readers would disagree on which counts). Errors: std::runtime_error, one line.
nlohmann::json parseJson(std::string_view text, int depth = 64);

/// A file's JSON object. Errors: Exit::Input naming the file and the place.
nlohmann::json readJson(const std::filesystem::path &path);

} // namespace nanort
