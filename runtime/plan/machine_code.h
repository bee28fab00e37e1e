// The machine code of a program's kernels. A plan keeps it as one zstd frame: kernels have much in common.
#pragma once

#include "runtime/plan/plan.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace nanort {

inline constexpr uint64_t maxCode = uint64_t(1) << 30; // bytes of a program, unpacked

/// The frame for Program.code. Errors: Exit::Internal.
std::vector<uint8_t> packCode(std::span<const char> code);

/// What keeps a program's machine code from being unpacked, as far as its frame's headers say; empty if nothing does.
/// Then every kernel's range lies inside what the frame claims to hold.
std::string codeFault(const schema::Program &program);

/// A program's machine code, unpacked: some milliseconds for a few megabytes.
class MachineCode {
public:
  /// Errors: Exit::Input naming the plan's file and the program if the frame's contents are damaged.
  MachineCode(const Plan &plan, uint32_t program);

  /// Empty if the kernel, which is one of the program, has no machine code.
  std::span<const char> of(const schema::Kernel &kernel) const;

private:
  std::vector<char> bytes;
};

} // namespace nanort
