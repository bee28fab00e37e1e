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

/// Scratch is written and read within the launch alone: nothing may rely on what it holds before or after. A Condition
/// is the handle of a loop of a CUDA graph, 0 outside one; references ignore it.
enum class ArgKind : uint8_t { In, Out, InOut, Scratch, I32, F32, Condition };
constexpr bool isScalar(ArgKind kind) {
  return kind == ArgKind::I32 || kind == ArgKind::F32 || kind == ArgKind::Condition;
}

struct ArgDecl {
  std::string_view name;
  ArgKind kind;
  /// Element type of a buffer: "f32", "i32", "u32", or the name of a type parameter. Empty for scalars.
  std::string_view type = {};
  /// The device template also gets the buffer's TensorMap, as `const TensorMap *` behind all arguments.
  bool mapped = false;
};

/// How the copy engine (TMA, from sm_90 on) cuts a buffer into boxes. Outside the extents it reads zeros and writes
/// nothing. Limits of the driver's cuTensorMapEncodeTiled: rank 2 to 5, extents below 2^32, strides multiples of 16
/// below 2^40, boxes of at most 256 elements a dimension, whose first dimension is as many bytes as the swizzle at
/// most.
struct TensorMap {
  std::vector<uint64_t> extents; // elements, the contiguous dimension first
  std::vector<uint64_t> strides; // bytes from one index to the next, for every dimension but the first
  std::vector<uint32_t> box;     // elements
  uint32_t swizzle = 128;        // bytes of a row of the box in shared memory that are permuted: 0, 32, 64 or 128
};

union Scalar {
  int32_t i; // of a Condition: the loop's index
  float f;
};

struct LaunchShape {
  uint32_t grid[3] = {1, 1, 1};
  uint32_t block[3] = {1, 1, 1};
  uint32_t sharedBytes = 0; // dynamic shared memory
  uint32_t cluster = 1;     // neighbouring blocks along x that run together; depends on the parameters alone
};

/// What an entry promises about the indices that a launch reads from memory: token slots are < tokens, rows < rows,
/// token ids < vocab, positions < positions.
struct Limits {
  uint64_t tokens = 0, rows = 0, vocab = 0, positions = 0;
};

/// Product of extents, saturating: parameters come from a file, so that no product may wrap.
template <typename... Rest> constexpr uint64_t elementCount(uint64_t first, Rest... rest) {
  uint64_t product = first;
  for (uint64_t factor : {static_cast<uint64_t>(rest)..., uint64_t(1)})
    if (__builtin_mul_overflow(product, factor, &product))
      return UINT64_MAX;
  return product;
}

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

  /// Empty if the template serves these parameters; otherwise the violated constraint with the nearest value that
  /// works.
  std::string (*constraint)(const Params &);
  LaunchShape (*shape)(const Params &, std::span<const Scalar>);
  Cost (*cost)(const Params &, std::span<const Scalar>);
  /// Bound on |gpu - cpu| of one output element, relative to the largest magnitude in the output (for check --against):
  /// derived from the reduction length and the output's rounding.
  double (*tolerance)(const Params &);
  /// Elements that each buffer argument must have, in the order of `args`, so that no thread leaves it: the loader of a
  /// plan holds every launch to it. Scalars are not negative.
  std::vector<uint64_t> (*extents)(const Params &, std::span<const Scalar>, const Limits &);
  /// The device template calls waitForProducers() itself, on every path of every block: it has work to do before.
  bool waitsItself = false;
  /// Its products of bf16 (parameter "T") run on tensor cores.
  bool tensorCores = false;
  /// One for each mapped argument, in their order.
  std::vector<TensorMap> (*maps)(const Params &, std::span<const Scalar>, const Limits &) = nullptr;
  /// The only target that has the instructions of the device template; empty: all have.
  std::string_view target = {};
  /// Why the template's general path, or a general template, serves these parameters: the shape that the fast one
  /// lacks, with the nearest that works. Empty if the fast one does. Of bf16 alone: f32 is general by choice.
  std::string (*fallback)(const Params &) = nullptr;
  /// Raised when what the kernel computes of the same arguments changes: plans made before then no longer fit.
  uint32_t referenceVersion = 1;
};

/// As Family::fallback; empty for a family without one.
std::string fallbackOf(const Family &family, const Params &params);

/// Element type of a buffer argument.
DType elementType(const ArgDecl &arg, const Params &params);

/// The maps of a launch, each with the index of its argument.
std::vector<std::pair<uint32_t, TensorMap>> tensorMaps(const Family &family, const Params &params,
                                                       std::span<const Scalar> scalars, const Limits &limits);

} // namespace kernels
