// A test case of a kernel on the emulator.
#pragma once

#include "tests/emulator/instances.h"
#include "tests/unit/case_memory.h"

#include <optional>

namespace emulator {

/// Null if the case's instance is not on the emulator.
const Kernel *findInstance(const nanotest::Case &c);

/// Runs the case with its outputs filled with `fill`; the buffers after it, or nullopt and what is wrong.
std::optional<std::vector<std::vector<std::byte>>> runCase(const nanotest::Case &c, const Kernel &kernel, uint64_t seed,
                                                           int fill, std::string &why);

} // namespace emulator
