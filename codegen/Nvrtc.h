// NVRTC through dlopen: CUDA source in, cubin or PTX out.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace codegen {

/// Besides the target's -arch, and --no-cache from NVRTC 12.9 on. Verbose ptxas output is what compile() finds spills
/// in.
inline constexpr const char *compileOptions[] = {"-std=c++17", "-lineinfo", "--ptxas-options=-v"};

/// The macro by which a source (codegen/Instantiate.h) gives a thread as many registers as one block an SM leaves it.
inline constexpr const char *moreRegisters = "NANO_MORE_REGISTERS";

/// compile() may be called from several threads at once.
class Nvrtc {
public:
  /// Looked for as runtime/base/library.h says, $NANORT_NVRTC first. Null if there is none; `reason` then says where it
  /// looked.
  static std::unique_ptr<Nvrtc> open(std::string &reason);
  virtual ~Nvrtc() = default;

  virtual std::string version() const = 0; // "13.0"

  /// Compiles for exactly `target` ("sm_90a"), or to PTX for a virtual one ("compute_80"), which any later device's
  /// driver loads: how code for older devices is tested. Same source, target and version give the same bytes. Throws
  /// nanort::Error (Exit::Internal) with NVRTC's log on errors, and (not of PTX) on what silently ruins a kernel: a
  /// "potential performance loss" (setmaxnreg ignored, C7508; products serialized, C7511, C7514, C7515 ...), a spill or
  /// a stack frame that is still there with `moreRegisters`, or a log that does not say.
  virtual std::vector<char> compile(const std::string &name, const std::string &source, const std::string &target) = 0;
};

} // namespace codegen
