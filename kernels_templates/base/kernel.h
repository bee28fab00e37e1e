// What a kernel is to the compiler and the runtime: a meaning (what is computed, whoever computes it) and an engine
// (how a device computes it). A meaning is written once, with its arguments, cost, error bound and CPU reference; an
// engine is a device header and its host side. Arguments and parameters are matched by name everywhere.
#pragma once

#include "kernels_templates/base/dtype.h"
#include "kernels_templates/base/target.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kernels {

/// Integers by name: the template parameters of a kernel, and the integer scalars of a launch. A type's value is its
/// DType.
class Values {
public:
  Values() = default;
  Values(std::initializer_list<std::pair<std::string_view, int64_t>> values);

  int64_t operator[](std::string_view name) const; // aborts on an unknown name: a bug in a description, not bad input
  DType type(std::string_view name) const { return static_cast<DType>((*this)[name]); }
  /// A count that is never negative.
  uint64_t count(std::string_view name) const;
  std::optional<int64_t> find(std::string_view name) const;
  void set(std::string_view name, int64_t value);
  /// These values and `more`, whose values win.
  Values with(const Values &more) const;

  auto begin() const { return values.begin(); }
  auto end() const { return values.end(); }
  size_t size() const { return values.size(); }
  bool operator==(const Values &) const = default;
  auto operator<=>(const Values &) const = default;

private:
  std::vector<std::pair<std::string, int64_t>> values; // in the order in which they were set
};

struct Param {
  std::string_view name;
  bool isType = false; // a DType rather than an integer
};

/// Scratch is written and read within the launch alone: nothing may rely on what it holds before or after. A Condition
/// is the handle of a loop of a CUDA graph, 0 outside one; references ignore it.
enum class Access : uint8_t { In, Out, InOut, Scratch, I32, F32, Condition };
constexpr bool isScalar(Access access) { return access >= Access::I32; }

/// What a buffer holds, as far as it matters to whoever binds it, checks it or fills it for a test.
enum class Role : uint8_t {
  Activation, // what earlier launches of the entry make: late under programmatic launch
  Constant,   // weights and tables
  Kv,         // a ring of keys and values
  Index,      // integers that a session keeps in the range of `Arg::of`; -1 marks padding
  Sampling,   // the sampler's words
  Next,       // sampled token ids
  Counters,   // zero before and after every launch
  Partials,   // scratch
  Number,     // a scalar
  // Of a generation (generation/words.h):
  Prompt,
  Request,
  Progress,
  Go,
  TokenRing,
  PrefillInput, // the input `Arg::of` of the prefill entry that the generation repeats
  DecodeInput,  // likewise of the decode entry
};

/// What an entry promises about the indices that a launch reads from memory: token slots are < tokens, rows < rows,
/// token ids < vocab, positions < positions.
struct Limits {
  uint64_t tokens = 0, rows = 0, vocab = 0, positions = 0;
};

struct Arg {
  std::string_view name;
  Access access;
  Role role = Role::Number;
  /// Element type of a buffer: "f32", "i32", "u32", or the name of a type parameter. Empty for scalars.
  std::string_view type = {};
  /// Elements of a buffer, so that no thread leaves it: factors such as "n heads+2*kv_heads D", of parameters, integer
  /// scalars, and the limits `tokens`, `rows`, `vocab` and `positions`.
  std::string_view shape = {};
  /// The entry's input that it is bound to, of the roles that are bound by name.
  std::string_view of = {};
  /// In place of `shape` where that is no product.
  uint64_t (*elements)(const Values &, const Limits &) = nullptr;
};

// Arguments as a meaning lists them.
Arg input(std::string_view name, std::string_view type, std::string_view shape);
Arg constant(std::string_view name, std::string_view type, std::string_view shape);
Arg output(std::string_view name, std::string_view type, std::string_view shape);
/// i32, bound to the entry's input `of`, its own name if that is empty.
Arg index(std::string_view name, std::string_view shape, std::string_view of = {});
Arg integer(std::string_view name);
Arg real(std::string_view name);

/// How the copy engine (TMA, from sm_90 on) cuts a buffer into boxes. Outside the extents it reads zeros and writes
/// nothing. Limits of the driver's cuTensorMapEncodeTiled: rank 2 to 5, extents below 2^32, strides multiples of 16
/// below 2^40, boxes of at most 256 elements a dimension, whose first dimension is as many bytes as the swizzle at
/// most.
struct TensorMap {
  std::string_view arg;          // which buffer; the kernel gets `const TensorMap *` <arg>_map
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
  uint32_t blocks = 1;
  uint32_t threads = 1;     // of a block
  uint32_t sharedBytes = 0; // of a block: all that the body uses, as dynamic shared memory
  uint32_t cluster = 1;     // neighbouring blocks that run together; depends on the parameters alone
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

/// What is computed. Functions of Values get the parameters, those with a launch's numbers its integer scalars besides.
struct Meaning {
  std::string name;
  std::vector<Param> params; // what the result depends on
  std::vector<Arg> args;     // buffers, then scalars
  /// Device templates that every engine is composed with: traits such as an epilogue.
  std::vector<std::string_view> traits = {};
  /// Empty if it is defined for these parameters; otherwise the violated constraint with the nearest value that works.
  std::string (*constraint)(const Values &);
  Cost (*cost)(const Values &launch);
  /// Bound on |gpu - cpu| of one output element, relative to the largest magnitude in the output (for check --against):
  /// derived from the reduction length and the output's rounding.
  double (*tolerance)(const Values &);
  /// Raised when the CPU reference changes what it computes: plans of before then no longer fit.
  int version = 1;
};

class Kernel;
struct LaunchToPredict;

/// How a device computes meanings.
struct Engine {
  std::string_view name;
  std::string_view header;        // under kernels_templates/
  std::string_view body;          // the device template: body<Params, traits...>(grid, shared, args)
  std::vector<Param> params = {}; // how the work is spread; they change no result beyond rounding
  std::vector<Arg> args = {};     // besides the meaning's: counters and scratch
  std::string (*constraint)(const Values &) = nullptr;
  LaunchShape (*shape)(const Values &launch);
  /// Of the arguments that it reads by the copy engine.
  std::vector<TensorMap> (*maps)(const Values &launch, const Limits &) = nullptr;
  /// What comes on top of the meaning's cost and error bound.
  Cost (*moreCost)(const Values &launch) = nullptr;
  double (*moreTolerance)(const Values &) = nullptr;
  /// The body calls waitForProducers() itself, on every path of every block: it has work to do before.
  bool waitsItself = false;
  /// Its products of bf16 (parameter "T") run on tensor cores.
  bool tensorCores = false;
  /// What a target must have for the body's instructions.
  Features needs = {};
  /// Why the body's general path, or a general engine, serves these parameters: the shape that the fast one lacks, with
  /// the nearest that works. Empty if the fast one does. Of bf16 alone: f32 is general by choice.
  std::string (*fallback)(const Values &) = nullptr;
  /// The parameters by which it is worth a thought for a problem: the meaning's parameters, a launch's integer scalars,
  /// and `rows`, that the tokens are of at most. Those that the constraint refuses are left out by whoever asks. Null:
  /// it has no parameters, and is always worth one.
  std::vector<Values> (*candidates)(const Kernel &, const Values &problem, const Target &) = nullptr;
  /// Microseconds with the launch; null: the roofline.
  double (*predict)(const LaunchToPredict &) = nullptr;
};

/// A meaning and, unless the CPU reference alone is meant, the engine that computes it.
class Kernel {
public:
  Kernel(const Meaning &meaning, const Engine *engine);

  const Meaning &meaning;
  const Engine *const engine;
  std::vector<Param> params; // the meaning's, then the engine's
  std::vector<Arg> args;     // buffers, the meaning's before the engine's, then scalars

  /// "product_mix by wgmma"
  std::string text() const;
  /// Entry point of an instance, e.g. "rms_norm_simt_bf16_256": the same text on every machine and run.
  std::string instanceName(const Values &params) const;

  std::string constraint(const Values &params) const;
  LaunchShape shape(const Values &launch) const; // of a kernel with an engine
  Cost cost(const Values &launch) const;
  double tolerance(const Values &params) const;
  std::string fallback(const Values &params) const;
  /// One for each argument that is mapped, in the order of `args`.
  std::vector<TensorMap> maps(const Values &launch, const Limits &limits) const;
  /// Elements that buffer `arg` must have.
  uint64_t elements(const Arg &arg, const Values &launch, const Limits &limits) const;
  bool tensorCores(const Values &params) const;

  size_t indexOf(std::string_view arg) const; // aborts on an unknown name
  size_t scalarCount() const;
  /// The parameters and the integer scalars, which come in the order of the scalar arguments.
  Values launch(const Values &params, const std::vector<Scalar> &scalars) const;
};

/// Element type of a buffer argument.
DType elementType(const Arg &arg, const Values &params);

} // namespace kernels
