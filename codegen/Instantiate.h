// From a family and its parameters to one self-contained CUDA source.
#pragma once

#include "kernels_templates/common/family.h"

#include <string>

namespace codegen {

/// Entry point of an instance, e.g. "rms_norm_bf16_256": the same text on every machine and run.
std::string kernelName(const kernels::Family &family, const kernels::Params &params);

/// Blocks of a launch that an SM holds at a time, of a family that waits itself (Family::waitsItself): instantiate()
/// asks the compiler for registers that let as many in.
uint32_t residentBlocks(const kernels::LaunchShape &shape);

/// The shared device headers, the family's kernel.cuh, and an extern "C" __global__ wrapper of the name above that
/// calls the template with `params`. Needs no include path.
/// Timed, the entry point takes one argument more, `unsigned long long *stamps`: see common/stamps.cuh.
enum class Timing { None, Stamps };
std::string instantiate(const kernels::Family &family, const kernels::Params &params, Timing timing = Timing::None);

/// Architectures a plan may target, "sm_80" ... ; empty reason if `target` is one of them ("cpu" included), otherwise
/// a message that lists them.
std::string checkTarget(const std::string &target);

} // namespace codegen
