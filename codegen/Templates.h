// The device templates as data.
#pragma once

#include <span>
#include <string_view>

namespace codegen {

struct Template {
  std::string_view path; // under kernels_templates: "common/types.cuh", "linear/kernel.cuh"
  std::string_view text;
};

/// The shared headers in the order in which they depend on each other, then the families.
std::span<const Template> allTemplates();

} // namespace codegen
