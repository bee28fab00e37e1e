// What decides whether a kernel of a plan is the one that this build means by its name.
#pragma once

#include "kernels_templates/base/kernel.h"
#include "runtime/base/sha256.h"

namespace codegen {

/// SHA-256 over what a kernel says of itself to those who make launches of it and to those who run them: its meaning's
/// name and version, the names and kinds of its parameters, and the name, access, role, element type, shape and input
/// of each argument. Not over its device code, its launch shape or its cost: a plan has those as they were.
nanort::Sha256 descriptionHash(const kernels::Kernel &kernel);

} // namespace codegen
