// Where a plan's parameters come from: a weights file, or counter-based random numbers.
#pragma once

#include "kernels_templates/base/host_math.h"
#include "runtime/base/safetensors.h"
#include "runtime/plan/plan.h"

#include <cstddef>
#include <memory>
#include <optional>

namespace nanort {

class Weights {
public:
  /// The file must hold every parameter of the plan with its shape, as F32 or BF16 (F16: Exit::Unsupported), and
  /// nothing else unless `ignoreExtra`. Errors: Exit::Input naming file and tensor.
  static Weights fromFile(std::shared_ptr<const Plan> plan, const std::filesystem::path &path,
                          bool ignoreExtra = false);

  /// Philox by (seed, tensor name, index): the same numbers on every device. Matrices [n, k]: uniform with standard
  /// deviation 1/sqrt(k); vectors and scalars: uniform in [0.25, 0.75]. No tensor is zero.
  static Weights random(std::shared_ptr<const Plan> plan, uint64_t seed);

  /// Elements [first, first + count) of a parameter (an index into Plan.parameters) into `out`, as f32 or rounded to
  /// bf16. Errors: Exit::Input if the weights file can no longer be read.
  void read(uint32_t parameter, uint64_t first, uint64_t count, kernels::DType type, std::byte *out) const;
  /// The parameter's bytes without a copy, if the file has it in this type; else null. Through the mapping: the file
  /// must not be cut while they are used.
  const std::byte *view(uint32_t parameter, kernels::DType type) const;

  const schema::Plan &root() const { return plan->root(); }

  /// All parameters as a safetensors file (for --random-weights).
  void save(const std::filesystem::path &path, kernels::HostMath &math) const;

private:
  std::shared_ptr<const Plan> plan;
  std::optional<Safetensors> file;
  uint64_t seed = 0;
};

} // namespace nanort
