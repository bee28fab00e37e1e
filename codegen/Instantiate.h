// From a kernel and its parameters to CUDA source.
#pragma once

#include "kernels_templates/base/kernel.h"

#include <string>
#include <vector>

namespace codegen {

/// What a kernel is compiled from: the files that its engine's header includes, in the order in which they come
/// (codegen/Templates.h), and an extern "C" __global__ wrapper named Kernel::instanceName().
struct Source {
  std::vector<std::string> includes;
  std::string own;

  /// One text that needs no include path. Line numbers in logs and profilers are those of the repository's files.
  std::string text() const;
  bool operator==(const Source &) const = default;
};

/// Of a kernel with an engine. Timed, the entry point takes one argument more, `unsigned long long *stamps`: see
/// kernels_templates/device/stamps.cuh.
enum class Timing { None, Stamps };
Source instantiate(const kernels::Kernel &kernel, const kernels::Values &params, Timing timing = Timing::None);

/// Struct Params with the template parameters and struct Args with the arguments, by their names.
std::string declarations(const kernels::Kernel &kernel, const kernels::Values &params);
/// "productWgmma<Params, Mix>"
std::string bodyOf(const kernels::Kernel &kernel);

/// As one text of a closure: a #line directive and the file without its includes.
std::string included(const std::string &path, std::string_view text);

} // namespace codegen
