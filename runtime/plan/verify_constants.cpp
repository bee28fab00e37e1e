// Constants and rings: what the parts of each are, and that recipes make them.
#include "runtime/base/text.h"
#include "runtime/plan/recipe.h"
#include "runtime/plan/verify.h"

#include <algorithm>
#include <unordered_set>

namespace nanort::verify {
namespace {

/// FlatBuffers' verifier aligns a vector's length, not its elements.
void checkAlignment(const schema::Constant &constant, const Place &at) {
  for (uint32_t i = 0; i < constant.steps()->size(); ++i)
    if (constant.steps_type()->GetEnum<schema::Step>(i) == schema::Step::PermuteStep) {
      const auto *view = static_cast<const schema::PermuteStep *>(constant.steps()->Get(i))->view();
      if (view && reinterpret_cast<uintptr_t>(view->Data()) % sizeof(uint64_t) != 0)
        at.bad("the view of step " + std::to_string(i) + " is misaligned");
    }
}

} // namespace

void checkConstants(ProgramContext &context, const Place &place) {
  const auto &buffers = *context.program.buffers();
  std::vector<bool> made(buffers.size());
  for (uint32_t i = 0; i < context.program.constants()->size(); ++i) {
    const schema::Constant &constant = *context.program.constants()->Get(i);
    Place at = place.in("constant " + std::to_string(i));
    if (constant.parts()->size() == 0)
      at.bad("it has no parts");
    for (const schema::Part *part : *constant.parts())
      if (part->buffer() >= buffers.size())
        at.bad("its buffer " + std::to_string(part->buffer()) + " does not exist");
    at = place.in(numbered("constant", i, buffers[constant.parts()->Get(0)->buffer()]->name()));
    checkAlignment(constant, at);
    const std::vector<RecipeTensor> tensors = tensorsOf(context.plan, constant, at);
    for (const schema::Part *part : *constant.parts()) {
      const schema::Buffer &buffer = *buffers[part->buffer()];
      const Place in = at.in("part " + quote(buffer.name()->string_view()));
      if (buffer.space() != schema::Space::Constant)
        in.bad("it is not in the constant space");
      if (made[part->buffer()])
        in.bad("two recipes write it");
      made[part->buffer()] = true;
      if (part->tensor() >= tensors.size())
        in.bad("tensor " + std::to_string(part->tensor()) + " does not exist");
      const RecipeTensor &tensor = tensors[part->tensor()];
      if (tensor.type != static_cast<kernels::DType>(buffer.dtype()))
        in.bad("it has another dtype than tensor " + std::to_string(part->tensor()));
      if (!std::ranges::equal(tensor.shape, *buffer.shape()))
        in.bad("it has another shape than tensor " + std::to_string(part->tensor()) + ", " + shapeText(tensor.shape));
      if (tensor.layout)
        context.logical[part->buffer()] = tensors[logicalOf(constant, tensors, part->tensor())].elements();
    }
  }
  for (uint32_t i = 0; i < buffers.size(); ++i)
    if (buffers[i]->space() == schema::Space::Constant && !made[i])
      place.in(numbered("buffer", i, buffers[i]->name())).bad("no recipe writes this constant");
}

void checkRings(const schema::Program &program, const Place &place) {
  constexpr uint32_t shared = 4; // rows, 2, heads of keys, positions
  const auto &buffers = *program.buffers();
  std::vector<bool> known(buffers.size());
  std::unordered_set<std::string_view> names;
  for (uint32_t i = 0; i < program.rings()->size(); ++i) {
    const schema::Ring &ring = *program.rings()->Get(i);
    const Place at = place.in(numbered("ring", i, ring.name()));
    if (!names.insert(ring.name()->string_view()).second)
      at.bad("its name occurs twice");
    if (ring.parts()->size() == 0)
      at.bad("it has no parts");
    for (uint32_t part : *ring.parts()) {
      if (part >= buffers.size())
        at.bad("its buffer " + std::to_string(part) + " does not exist");
      const schema::Buffer &buffer = *buffers[part];
      const Place in = at.in("part " + quote(buffer.name()->string_view()));
      if (buffer.space() != schema::Space::Kv || !isFloat(buffer.dtype()))
        in.bad("it is no buffer of keys and values");
      if (known[part])
        in.bad("it is a part twice");
      known[part] = true;
      const auto &first = *buffers[ring.parts()->Get(0)]->shape(), &shape = *buffer.shape();
      if (shape.size() < shared || !std::equal(shape.begin(), shape.begin() + shared, first.begin()))
        in.bad("its rows, heads and positions are not those of the ring's first part");
    }
  }
  for (uint32_t i = 0; i < buffers.size(); ++i)
    if (buffers[i]->space() == schema::Space::Kv && !known[i])
      place.in(numbered("buffer", i, buffers[i]->name())).bad("no ring has this part");
}

} // namespace nanort::verify
