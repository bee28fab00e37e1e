// The device templates as data.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace codegen {

/// The text of a file under the repository's root that device code includes ("kernels_templates/device/types.cuh").
/// Empty if there is none.
std::string_view templateText(std::string_view path);

/// `path` and all that it includes, each file once and behind what it includes itself.
std::vector<std::string> closureOf(const std::string &path);

/// The text of a file with blank lines in place of its include directives: what comes before it in a closure has them.
std::string withoutIncludes(std::string_view text);

} // namespace codegen
