// The memory around a launch of a test case, and what its outputs should be: for whatever runs device templates.
#pragma once

#include "tests/unit/kernel_cases.h"

#include <optional>

namespace nanotest {

/// All buffers of a case, each between guards, with the outputs filled with `fill`.
struct CaseMemory {
  std::vector<size_t> offsets; // of the buffers
  std::vector<std::byte> image;
};
CaseMemory layOut(const Case &c, int fill);

/// The buffers of the memory after the launch, scratch as zeros. Nullopt if a guard or an input changed; `why` then
/// says which.
std::optional<std::vector<std::vector<std::byte>>> buffersAfter(const Case &c, const CaseMemory &before,
                                                                const std::vector<std::byte> &after, std::string &why);

/// Compares the outputs of `actual` with those of `expected` (the CPU reference's): integers and what is not finite
/// exactly, the rest within the kernel's tolerance of the largest magnitude. Returns an empty text, or the worst
/// element; `worst` is the largest difference over the tolerance.
std::string compareOutputs(const Case &expected, const std::vector<std::vector<std::byte>> &actual, double &worst);

} // namespace nanotest
