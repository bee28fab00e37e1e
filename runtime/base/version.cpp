#include "runtime/base/version.h"

#include "nano_revision.h" // NANO_REVISION, from revision.cmake

namespace nanort {

std::string versionText() { return NANO_VERSION " (" NANO_REVISION ")"; }

} // namespace nanort
