#include "runtime/plan/recipe.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace nanort {

using kernels::DType;
using verify::Place;

namespace {

constexpr size_t maxSteps = 64;

bool isPlain(DType type) { return type == DType::F32 || type == DType::BF16; }

class Tensors {
public:
  Tensors(const schema::Plan &plan, const schema::Constant &constant, const Place &place)
      : plan(plan), constant(constant), place(place) {}

  std::vector<RecipeTensor> run() {
    for (uint32_t index : *constant.sources()) {
      if (index >= plan.parameters()->size())
        place.bad("its source parameter " + std::to_string(index) + " does not exist");
      const auto &shape = *plan.parameters()->Get(index)->shape();
      made.push_back({DType::F32, Shape(shape.begin(), shape.end()), -1, static_cast<uint32_t>(made.size()), false});
    }
    const uint32_t steps = constant.steps()->size();
    if (steps > maxSteps)
      place.bad("its recipe has " + std::to_string(steps) + " steps; " + std::to_string(maxSteps) + " are the most");
    for (uint32_t i = 0; i < steps; ++i)
      step(i, place.in("step " + std::to_string(i)));
    return std::move(made);
  }

private:
  const schema::Plan &plan;
  const schema::Constant &constant;
  const Place &place;
  std::vector<RecipeTensor> made;

  void step(uint32_t index, const Place &at) {
    const void *table = constant.steps()->Get(index);
    auto apply = [&](const auto *step) { add(index, *step, at); };
    switch (constant.steps_type()->GetEnum<schema::Step>(index)) {
    case schema::Step::RopeStep:
      return apply(static_cast<const schema::RopeStep *>(table));
    case schema::Step::CastStep:
      return apply(static_cast<const schema::CastStep *>(table));
    case schema::Step::ConcatenateStep:
      return apply(static_cast<const schema::ConcatenateStep *>(table));
    case schema::Step::SliceStep:
      return apply(static_cast<const schema::SliceStep *>(table));
    case schema::Step::QuantizeStep:
      return apply(static_cast<const schema::QuantizeStep *>(table));
    case schema::Step::PermuteStep:
      return apply(static_cast<const schema::PermuteStep *>(table));
    case schema::Step::PadStep:
      return apply(static_cast<const schema::PadStep *>(table));
    case schema::Step::NONE:
      break;
    }
    at.bad("it is of an unknown kind");
  }

  /// A copy: the list grows.
  RecipeTensor input(uint32_t tensor, bool layoutStep, const Place &at) const {
    if (tensor >= made.size())
      at.bad("tensor " + std::to_string(tensor) + " is not one before it");
    if (made[tensor].layout && !layoutStep)
      at.bad("it is a value step on tensor " + std::to_string(tensor) + ", which a layout step made");
    return made[tensor];
  }
  RecipeTensor plainInput(uint32_t tensor, const Place &at) const {
    RecipeTensor in = input(tensor, false, at);
    if (!isPlain(in.type))
      at.bad("tensor " + std::to_string(tensor) + " is neither f32 nor bf16");
    return in;
  }
  static void checkAxis(const RecipeTensor &tensor, uint32_t axis, const Place &at) {
    if (axis >= tensor.shape.size())
      at.bad("axis " + std::to_string(axis) + " is none of a tensor of " + std::to_string(tensor.shape.size()));
  }
  void put(uint32_t step, uint32_t result, DType type, Shape shape, bool layout, const Place &at) {
    verify::checkShape(shape, at);
    made.push_back({type, std::move(shape), static_cast<int32_t>(step), result, layout});
  }

  void add(uint32_t index, const schema::RopeStep &step, const Place &at) {
    if (step.head_dim() % 2 != 0)
      at.bad("a rotary table's head_dim is even");
    if (!std::isfinite(step.base()) || step.base() <= 0)
      at.bad("a rotary table's base is positive");
    put(index, 0, DType::F32, {step.positions(), step.head_dim()}, false, at);
  }

  void add(uint32_t index, const schema::CastStep &step, const Place &at) {
    const auto type = static_cast<DType>(step.dtype());
    if (!isPlain(type))
      at.bad("a cast is to f32 or bf16");
    put(index, 0, type, plainInput(step.tensor(), at).shape, false, at);
  }

  void add(uint32_t index, const schema::ConcatenateStep &step, const Place &at) {
    const auto &tensors = *step.tensors();
    if (tensors.size() == 0)
      at.bad("it has no tensors to concatenate");
    const uint32_t axis = step.axis();
    RecipeTensor whole = input(tensors[0], false, at);
    checkAxis(whole, axis, at);
    for (uint32_t i = 1; i < tensors.size(); ++i) {
      const RecipeTensor next = input(tensors[i], false, at);
      Shape rest = next.shape;
      if (axis < rest.size())
        rest[axis] = whole.shape[axis];
      if (next.type != whole.type || rest != whole.shape)
        at.bad("tensor " + std::to_string(tensors[i]) + " does not continue tensor " + std::to_string(tensors[0]) +
               " along axis " + std::to_string(axis));
      whole.shape[axis] += next.shape[axis];
      verify::checkShape(whole.shape, at); // as it grows, so that no sum wraps
    }
    put(index, 0, whole.type, std::move(whole.shape), false, at);
  }

  void add(uint32_t index, const schema::SliceStep &step, const Place &at) {
    RecipeTensor in = input(step.tensor(), false, at);
    checkAxis(in, step.axis(), at);
    uint64_t &extent = in.shape[step.axis()];
    if (step.begin() >= step.end() || step.end() > extent)
      at.bad("a slice from " + std::to_string(step.begin()) + " to " + std::to_string(step.end()) +
             " is not of the extent " + std::to_string(extent));
    extent = step.end() - step.begin();
    put(index, 0, in.type, std::move(in.shape), false, at);
  }

  void add(uint32_t index, const schema::QuantizeStep &step, const Place &at) {
    const RecipeTensor in = plainInput(step.tensor(), at);
    checkAxis(in, step.axis(), at);
    const uint64_t extent = in.shape[step.axis()], group = step.group() == 0 ? extent : step.group();
    if (extent % group != 0)
      at.bad("groups of " + std::to_string(group) + " do not divide the extent " + std::to_string(extent));
    if (step.format() != schema::Format::E4M3 || in.shape.size() != 2 || step.axis() != 1 || group != extent)
      at.unsupported("this build quantizes matrices alone, to e4m3 with one scale a row");
    put(index, 0, DType::F8E4M3, in.shape, false, at);
    Shape scales = in.shape;
    scales[step.axis()] = extent / group;
    put(index, 1, DType::F32, std::move(scales), false, at);
  }

  void add(uint32_t index, const schema::PermuteStep &step, const Place &at) {
    const RecipeTensor in = input(step.tensor(), true, at);
    Shape view = in.shape;
    if (step.view()) {
      view.assign(step.view()->begin(), step.view()->end());
      if (verify::checkShape(view, at) != in.elements())
        at.bad("its view has another number of elements than tensor " + std::to_string(step.tensor()));
    }
    std::vector<uint32_t> order(step.order()->begin(), step.order()->end()), sorted = order, axes(view.size());
    std::sort(sorted.begin(), sorted.end());
    std::iota(axes.begin(), axes.end(), 0);
    if (sorted != axes)
      at.bad("its order does not name each of " + std::to_string(view.size()) + " axes once");
    Shape shape;
    for (uint32_t axis : order)
      shape.push_back(view[axis]);
    put(index, 0, in.type, std::move(shape), true, at);
  }

  void add(uint32_t index, const schema::PadStep &step, const Place &at) {
    RecipeTensor in = input(step.tensor(), true, at);
    checkAxis(in, step.axis(), at);
    uint64_t &extent = in.shape[step.axis()];
    if (__builtin_add_overflow(extent, step.before(), &extent) || __builtin_add_overflow(extent, step.after(), &extent))
      at.bad("it pads beyond what a shape can have");
    put(index, 0, in.type, std::move(in.shape), true, at);
  }
};

} // namespace

uint64_t RecipeTensor::elements() const {
  return std::accumulate(shape.begin(), shape.end(), uint64_t(1), std::multiplies<>());
}

uint64_t RecipeTensor::inner(size_t axis) const {
  return std::accumulate(shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1, shape.end(), uint64_t(1),
                         std::multiplies<>());
}

std::vector<RecipeTensor> tensorsOf(const schema::Plan &plan, const schema::Constant &constant, const Place &at) {
  return Tensors(plan, constant, at).run();
}

uint32_t logicalOf(const schema::Constant &constant, const std::vector<RecipeTensor> &tensors, uint32_t tensor) {
  while (tensors[tensor].layout) {
    const auto step = static_cast<uint32_t>(tensors[tensor].step);
    const void *table = constant.steps()->Get(step);
    tensor = constant.steps_type()->GetEnum<schema::Step>(step) == schema::Step::PadStep
                 ? static_cast<const schema::PadStep *>(table)->tensor()
                 : static_cast<const schema::PermuteStep *>(table)->tensor();
  }
  return tensor;
}

} // namespace nanort
