// The files of kernels_templates/ that device code is made of, as codegen/EmbedTemplates.cmake writes them.
#pragma once

#include <span>
#include <string_view>

namespace codegen {

struct EmbeddedTemplate {
  std::string_view path; // under the repository's root
  std::string_view text;
};
std::span<const EmbeddedTemplate> embeddedTemplates();

} // namespace codegen
