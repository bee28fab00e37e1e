#include "runtime/base/outputs.h"

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/text.h"

namespace nanort {

namespace fs = std::filesystem;

static bool canBeReplaced(const fs::path &path) {
  std::error_code ignored;
  return !path.empty() && path != "-" && (!fs::exists(path, ignored) || fs::is_regular_file(path, ignored));
}

static bool isSameFile(const fs::path &a, const fs::path &b) {
  std::error_code ignored;
  if (fs::exists(a, ignored) && fs::exists(b, ignored))
    return fs::equivalent(a, b, ignored); // through hard links too
  return fs::weakly_canonical(followLinks(a), ignored) == fs::weakly_canonical(followLinks(b), ignored);
}

void checkOutputs(const std::vector<NamedPath> &inputs, const std::vector<NamedPath> &outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    const NamedPath &output = outputs[i];
    if (!canBeReplaced(output.path))
      continue;
    auto check = [&](const NamedPath &other) {
      if (canBeReplaced(other.path) && isSameFile(output.path, other.path))
        fail(Exit::Usage, output.what + " " + quote(output.path.native()) + " would replace " + other.what + " " +
                              quote(other.path.native()) + "; name another file");
    };
    for (const NamedPath &input : inputs)
      if (std::error_code ignored; fs::exists(input.path, ignored))
        check(input);
    for (size_t j = 0; j < i; ++j)
      check(outputs[j]);
  }
}

} // namespace nanort
