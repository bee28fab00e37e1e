// What stands in the way of programmatic edges.
#pragma once

#include "runtime/cuda/modules.h"

#include <string>
#include <vector>

namespace nanort::cuda {

/// A line for each kernel on a programmatic edge that leaves too few registers for the other end to start early:
/// correct, but not worth its edge (kernels_templates/cuda-rules.md, rule 6; shared memory is checked by the compiler,
/// which cannot know these).
std::vector<std::string> lateStarters(const Device &device, const Modules &modules, const schema::Program &program);

} // namespace nanort::cuda
