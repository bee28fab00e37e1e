// The wgemm families: the sweep of tests/unit/wgemm_cases.cpp, or a part of it.
#include "tests/emulator/device.h"
#include "tests/emulator/instances.h"

namespace device {

#include "kernels_templates/common/wgemm_ring.cuh"

#include "kernels_templates/common/wgemm.cuh"

#include "kernels_templates/wgemm/kernel.cuh"

#include "kernels_templates/wgemm_add/kernel.cuh"

#include "kernels_templates/wgemm_backout/kernel.cuh"

#include "kernels_templates/wgemm_mix/kernel.cuh"

#include "kernels_templates/wgemm_mix_sum/kernel.cuh"

EMULATE(wgemm, bf16, bf16, 8, 8, 8, 64, 2, 1, 1, 1, 0, 1)

} // namespace device
