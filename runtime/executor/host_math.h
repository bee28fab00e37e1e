// The CPU references' matrix product and parallel loop: Eigen on a fixed pool of threads.
#pragma once

#include "kernels_templates/base/host_math.h"

#include <memory>

namespace nanort {

/// `threads` <= 0: all cores this process may use. Results do not depend on it. The object may be used by one caller at
/// a time. Throws Exit::Unsupported on a CPU without AVX2 and FMA.
std::unique_ptr<kernels::HostMath> makeHostMath(int threads);

} // namespace nanort
