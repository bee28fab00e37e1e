// The instances of kernels that run on the emulator, in the sources that make_instances makes.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <type_traits>
#include <utility>

namespace emulator {

/// Takes the addresses of the arguments in the order of the device function, as cuLaunchKernel() does.
using Kernel = std::function<void(void *const *)>;

/// By Kernel::instanceName().
std::map<std::string, Kernel> &instances();

template <typename... Args> Kernel kernelOf(void (*f)(Args...)) {
  return [f](void *const *arguments) {
    [&]<size_t... i>(std::index_sequence<i...>) { f(*static_cast<std::remove_cv_t<Args> *>(arguments[i])...); }
    (std::index_sequence_for<Args...>{});
  };
}

inline bool addInstance(const char *name, Kernel kernel) { return instances().emplace(name, std::move(kernel)).second; }

} // namespace emulator
