// Every kernel family this build knows.
#pragma once

#include "kernels_templates/common/family.h"

#include <span>
#include <string_view>

namespace codegen {

/// Null if there is none of that name.
const kernels::Family *findFamily(std::string_view name);
std::span<const kernels::Family *const> allFamilies();

/// CPU references live in a library of their own (target nano_kernels_cpu), so that the compiler does not link them.
kernels::CpuKernel findCpuKernel(std::string_view family);

} // namespace codegen
