// Constants as their recipes make them of parameters.
#pragma once

#include "runtime/plan/recipe.h"
#include "runtime/weights/weights.h"

#include <map>

namespace nanort {

/// As the device has a constant, or as references see it: without layout steps.
enum class Layout : uint8_t { Device, Logical };

/// Makes any range of any part of one constant. Ranges cost no more than they hold, but that what is permuted, and what
/// a group of a scale needs, is made whole; what was permuted is kept until this is destroyed. The weights and the plan
/// stay.
class ConstantMaker {
public:
  ConstantMaker(const Weights &weights, const schema::Program &program, const schema::Constant &constant);

  /// Elements and bytes of a part, counted among Constant.parts.
  uint64_t elements(uint32_t part, Layout layout) const { return tensors[tensorOf(part, layout)].elements(); }
  uint64_t bytes(uint32_t part, Layout layout) const;

  /// Elements [first, first + count) of a part into `out`, in its dtype. Errors: Exit::Input if the weights file can no
  /// longer be read, or holds what no scale can bring into a format: infinities and NaN.
  void write(uint32_t part, Layout layout, uint64_t first, uint64_t count, std::byte *out, kernels::HostMath &math);

  /// The logical part's bytes without a copy, if it is one parameter in the type that the weights file has it in; else
  /// null. As Weights::view.
  const std::byte *view(uint32_t part) const;

private:
  using Bytes = std::vector<std::byte>;

  uint32_t tensorOf(uint32_t part, Layout layout) const;
  template <typename Step> const Step &stepOf(const RecipeTensor &tensor) const {
    return *static_cast<const Step *>(constant.steps()->Get(static_cast<uint32_t>(tensor.step)));
  }
  schema::Step kindOf(const RecipeTensor &tensor) const {
    return tensor.step < 0 ? schema::Step::NONE
                           : constant.steps_type()->GetEnum<schema::Step>(static_cast<uint32_t>(tensor.step));
  }
  void prepare(uint32_t tensor, kernels::HostMath &math);
  void fillAll(uint32_t tensor, uint64_t first, uint64_t count, std::byte *out, kernels::HostMath &math) const;
  void fill(uint32_t tensor, uint64_t first, uint64_t count, kernels::DType type, std::byte *out) const;
  void rope(const schema::RopeStep &step, uint64_t first, uint64_t count, kernels::DType type, std::byte *out) const;
  void quantize(const RecipeTensor &tensor, uint64_t first, uint64_t count, std::byte *out) const;
  void permute(const RecipeTensor &tensor, uint64_t first, uint64_t count, std::byte *out) const;
  void floats(uint32_t tensor, uint64_t first, std::span<float> out) const;

  const Weights &weights;
  const schema::Program &program;
  const schema::Constant &constant;
  std::vector<RecipeTensor> tensors;
  std::map<uint32_t, Bytes> whole; // tensors that a permute step takes
};

} // namespace nanort
