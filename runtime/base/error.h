// Errors of the runtime, the code generator and the importer: one exception type that carries the process exit code.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace nanort {

/// Exit codes of every tool; the table in README.md is the contract.
enum class Exit : int {
  Ok = 0,
  Internal = 1,    // a bug in this project
  Usage = 2,       // bad flags or a bad combination of flags
  Input = 3,       // unreadable, damaged or inconsistent input; output not writable; disk full
  Unsupported = 4, // well-formed, but not something this project serves
  Device = 5,      // no such device, or no program of the plan fits it
  Memory = 6,      // does not fit in memory
  Mismatch = 7,    // `check --against` found a difference
  Cuda = 8,        // the CUDA driver or a CUDA library failed
};

/// What a tool prints as its one last line. The message names the thing, the place (file, line, tensor) and the remedy.
class Error : public std::runtime_error {
public:
  Error(Exit code, std::string message) : std::runtime_error(message), code(code) {}
  Exit code;
};

[[noreturn]] inline void fail(Exit code, std::string message) { throw Error(code, std::move(message)); }

} // namespace nanort
