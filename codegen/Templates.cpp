#include "codegen/Templates.h"

#include "codegen/EmbeddedTemplates.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace codegen {

std::string_view templateText(std::string_view path) {
  for (const EmbeddedTemplate &file : embeddedTemplates())
    if (file.path == path)
      return file.text;
  return {};
}

/// Calls each(line) for every line of the text, without its end.
template <typename Each> static void forEachLine(std::string_view text, Each each) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    each(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

constexpr std::string_view includes = "#include \"";

static void append(std::vector<std::string> &closure, const std::string &path) {
  if (std::find(closure.begin(), closure.end(), path) != closure.end())
    return;
  const std::string_view text = templateText(path);
  if (text.empty()) {
    std::fprintf(stderr, "device code includes %s, which is not embedded (codegen/CMakeLists.txt)\n", path.c_str());
    std::abort();
  }
  forEachLine(text, [&](std::string_view line) {
    if (line.starts_with(includes))
      append(closure, std::string(line.substr(includes.size(), line.rfind('"') - includes.size())));
  });
  closure.push_back(path);
}

std::vector<std::string> closureOf(const std::string &path) {
  std::vector<std::string> closure;
  append(closure, path);
  return closure;
}

std::string withoutIncludes(std::string_view text) {
  std::string result;
  forEachLine(text, [&](std::string_view line) {
    if (!line.starts_with(includes) && line != "#pragma once")
      result += line;
    result += '\n';
  });
  return result;
}

} // namespace codegen
