// Which build this is.
#pragma once

#include <string>

namespace nanort {

/// "0.1.0 (abc1234)": the version and the git revision of the sources, "unknown" for a copy that is no checkout;
/// "abc1234+" if files that git tracks differ from it.
std::string versionText();

} // namespace nanort
