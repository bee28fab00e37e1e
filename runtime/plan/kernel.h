// A kernel of a plan in the form its family's functions take.
#pragma once

#include "kernels_templates/common/family.h"

#include <vector>

namespace nanort {

/// Made once, by the plan's verification (verify.h): its family is known, its parameters keep the family's constraint.
struct KernelInstance {
  const kernels::Family *family = nullptr;
  kernels::Params params;
  bool hasImage = false; // source or cubin
};

/// By program, as Program.kernels has them.
using KernelInstances = std::vector<std::vector<KernelInstance>>;

} // namespace nanort
