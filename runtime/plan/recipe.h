// The tensors of a constant's recipe: what each step makes of those before it.
#pragma once

#include "runtime/plan/plan.h"
#include "runtime/plan/verify.h"

#include <cstdint>
#include <vector>

namespace nanort {

/// Shape as a plan has them: 1 to 8 positive extents.
using Shape = std::vector<uint64_t>;

struct RecipeTensor {
  kernels::DType type;
  Shape shape;
  int32_t step = -1;   // that makes it; -1: a source
  uint32_t result = 0; // which of the step's tensors; of a source its index among Constant.sources
  bool layout = false; // made by a layout step, so not what references see

  uint64_t elements() const;
  /// Elements from one index of an axis to the next.
  uint64_t inner(size_t axis) const;
};

/// In the order in which steps count them. Errors of a recipe whose steps do not chain: as of Place::bad,
/// Exit::Unsupported for a way to quantize that this build lacks.
std::vector<RecipeTensor> tensorsOf(const schema::Plan &plan, const schema::Constant &constant,
                                    const verify::Place &at);

/// The tensor that layout steps made this one of; itself if none did.
uint32_t logicalOf(const schema::Constant &constant, const std::vector<RecipeTensor> &tensors, uint32_t tensor);

} // namespace nanort
