// The instances of kernels that run on the emulator, one EMULATE each, in the sources that make_instances makes.
#pragma once

#include "kernels_templates/base/catalogue.h"

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace emulator {

/// Takes the addresses of the arguments in the order of the device function, as cuLaunchKernel() does.
using Kernel = std::function<void(void *const *)>;

/// By codegen::kernelName().
std::map<std::string, Kernel> &instances();

template <typename... Args> Kernel kernelOf(void (*f)(Args...)) {
  return [f](void *const *arguments) {
    [&]<size_t... i>(std::index_sequence<i...>) { f(*static_cast<std::remove_cv_t<Args> *>(arguments[i])...); }
    (std::index_sequence_for<Args...>{});
  };
}

/// "wgemm", "bf16, f32, 8": wgemm_bf16_f32_8.
inline bool addInstance(std::string name, std::string_view arguments, Kernel kernel) {
  name += "_";
  for (char c : arguments)
    if (c != ' ')
      name += c == ',' ? '_' : c;
  return instances().emplace(name, std::move(kernel)).second;
}

} // namespace emulator

#define EMULATE_JOIN(a, b) a##b
#define EMULATE_NAME(a, b) EMULATE_JOIN(a, b)
#define EMULATE(family, ...)                                                                                           \
  [[maybe_unused]] static const bool EMULATE_NAME(row, __COUNTER__) =                                                  \
      emulator::addInstance(#family, #__VA_ARGS__, emulator::kernelOf(&family<__VA_ARGS__>));
