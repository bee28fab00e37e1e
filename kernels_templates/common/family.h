// What a kernel family is to the compiler and the runtime: its template parameters, its arguments, the constraints on
// them, its launch shape and its cost. One constant of type Family per folder, in family.cpp.
#pragma once

#include "kernels_templates/common/dtype.h"
#include "kernels_templates/common/host_math.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kernels {

/// Template arguments of one instance, in the order of Family::params. A type parameter's value is a DType.
struct Params {
  std::vector<std::pair<std::string, int64_t>> values;

  int64_t operator[](std::string_view name) const; // aborts on an unknown name: a bug in family.cpp, not bad input
  DType type(std::string_view name) const { return static_cast<DType>((*this)[name]); }
};

struct ParamDecl {
  std::string_view name;
  bool isType = false; // a DType rather than an integer
};

enum class ArgKind : uint8_t { In, Out, InOut, I32, F32 };

struct ArgDecl {
  std::string_view name;
  ArgKind kind;
  /// Element type of a buffer: "f32", "i32", "u32", or the name of a type parameter. Empty for scalars.
  std::string_view type = {};
};

union Scalar {
  int32_t i;
  float f;
};

struct LaunchShape {
  uint32_t grid[3] = {1, 1, 1};
  uint32_t block[3] = {1, 1, 1};
  uint32_t sharedBytes = 0; // dynamic shared memory
};

struct Cost {
  uint64_t bytes = 0; // moved through device memory once each: inputs, outputs, weights
  uint64_t flops = 0;
};

/// Arguments of one CPU reference call: buffers and scalars each in their order among Family::args. Logical layout.
struct CpuArgs {
  const Params &params;
  std::span<void *const> buffers;
  std::span<const Scalar> scalars;
  HostMath &math;

  template <typename T> T *at(size_t i) const { return static_cast<T *>(buffers[i]); }
};
using CpuKernel = void (*)(const CpuArgs &);

struct Family {
  std::string_view name; // folder, and the name of the device template
  std::vector<ParamDecl> params;
  std::vector<ArgDecl> args; // order of the device function's arguments: buffers first, then scalars

  /// Empty if the template serves these parameters; otherwise the violated constraint with the nearest value that works.
  std::string (*constraint)(const Params &);
  LaunchShape (*shape)(const Params &, std::span<const Scalar>);
  Cost (*cost)(const Params &, std::span<const Scalar>);
  /// Bound on |gpu - cpu| of one output element, relative to the largest magnitude in the output (for check --against):
  /// derived from the reduction length and the output's rounding.
  double (*tolerance)(const Params &);
};

} // namespace kernels
