// A kernel of a plan as this build knows it.
#pragma once

#include "kernels_templates/base/catalogue.h"

#include <vector>

namespace nanort {

/// Made once, by the plan's verification (verify.h): there is such a kernel, and its parameters keep the constraints.
struct KernelInstance {
  const kernels::Kernel *kernel = nullptr;
  kernels::Values params;
  bool hasImage = false; // source or machine code
};

/// By program, as Program.kernels has them.
using KernelInstances = std::vector<std::vector<KernelInstance>>;

} // namespace nanort
