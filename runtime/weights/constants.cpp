#include "runtime/weights/constants.h"

#include "runtime/base/error.h"
#include "runtime/base/text.h"
#include "runtime/weights/quantize.h"
#include "runtime/weights/values.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace nanort {

using kernels::DType;

namespace {

constexpr uint64_t threadGrain = 1 << 14; // elements that are worth a thread

/// Calls f(first of the part, part of the row, where in it, count) for [first, first + count) of rows made of parts
/// that lie one behind the other, each of `sizes` elements.
template <typename F> void forEachRun(std::span<const uint64_t> sizes, uint64_t first, uint64_t count, F f) {
  uint64_t row = 0;
  for (uint64_t size : sizes)
    row += size;
  for (uint64_t at = first; at < first + count;) {
    uint64_t inRow = at % row;
    size_t part = 0;
    for (; inRow >= sizes[part]; ++part)
      inRow -= sizes[part];
    const uint64_t run = std::min(first + count - at, sizes[part] - inRow);
    f(part, at / row * sizes[part] + inRow, at - first, run);
    at += run;
  }
}

} // namespace

ConstantMaker::ConstantMaker(const Weights &weights, const schema::Program &program, const schema::Constant &constant)
    : weights(weights), program(program), constant(constant),
      tensors(tensorsOf(weights.root(), constant, {"plan", "constant"})) {}

uint32_t ConstantMaker::tensorOf(uint32_t part, Layout layout) const {
  const uint32_t tensor = constant.parts()->Get(part)->tensor();
  return layout == Layout::Device ? tensor : logicalOf(constant, tensors, tensor);
}

uint64_t ConstantMaker::bytes(uint32_t part, Layout layout) const {
  return elements(part, layout) * kernels::sizeOf(tensors[tensorOf(part, layout)].type);
}

void ConstantMaker::write(uint32_t part, Layout layout, uint64_t first, uint64_t count, std::byte *out,
                          kernels::HostMath &math) {
  const uint32_t tensor = tensorOf(part, layout);
  prepare(tensor, math);
  fillAll(tensor, first, count, out, math);
}

const std::byte *ConstantMaker::view(uint32_t part) const {
  const RecipeTensor *tensor = &tensors[tensorOf(part, Layout::Logical)];
  const DType type = tensor->type;
  while (kindOf(*tensor) == schema::Step::CastStep && tensor->type == type)
    tensor = &tensors[stepOf<schema::CastStep>(*tensor).tensor()];
  // A cast to bf16 on the way to an f32 part rounds, unless the loop has stopped there.
  if (tensor->step >= 0)
    return nullptr;
  return weights.view(constant.sources()->Get(tensor->result), type);
}

/// Makes what permute steps under `tensor` take. They come last, so that there are few.
void ConstantMaker::prepare(uint32_t tensor, kernels::HostMath &math) {
  while (tensors[tensor].layout) {
    if (kindOf(tensors[tensor]) == schema::Step::PadStep) {
      tensor = stepOf<schema::PadStep>(tensors[tensor]).tensor();
      continue;
    }
    tensor = stepOf<schema::PermuteStep>(tensors[tensor]).tensor();
    if (whole.contains(tensor))
      return;
    prepare(tensor, math);
    const uint64_t count = tensors[tensor].elements();
    Bytes made(count * kernels::sizeOf(tensors[tensor].type));
    fillAll(tensor, 0, count, made.data(), math);
    whole.emplace(tensor, std::move(made));
    return;
  }
}

void ConstantMaker::fillAll(uint32_t tensor, uint64_t first, uint64_t count, std::byte *out,
                            kernels::HostMath &math) const {
  const DType type = tensors[tensor].type;
  uint64_t grain = threadGrain;
  for (const RecipeTensor &other : tensors)
    if (kindOf(other) == schema::Step::QuantizeStep) {
      // Whole rows of what is quantized: a range makes those that it touches.
      const uint64_t row = tensors[stepOf<schema::QuantizeStep>(other).tensor()].shape.back();
      grain = tensors[tensor].type == DType::F32 ? std::max<uint64_t>(1, threadGrain / row)
                                                 : (threadGrain + row - 1) / row * row;
    }
  math.parallelFor(static_cast<int64_t>(count), static_cast<int64_t>(grain), [&](int64_t begin, int64_t end) {
    const auto from = static_cast<uint64_t>(begin);
    fill(tensor, first + from, static_cast<uint64_t>(end) - from, type, out + from * kernels::sizeOf(type));
  });
}

/// Elements [first, first + count) of a tensor as `type`: its own, or, of an f32 tensor, the one that a cast asks for,
/// so that nothing is stored twice on its way.
void ConstantMaker::fill(uint32_t index, uint64_t first, uint64_t count, DType type, std::byte *out) const {
  const RecipeTensor &tensor = tensors[index];
  const uint64_t size = kernels::sizeOf(type);
  switch (kindOf(tensor)) {
  case schema::Step::NONE:
    return weights.read(constant.sources()->Get(tensor.result), first, count, type, out);
  case schema::Step::RopeStep:
    return rope(stepOf<schema::RopeStep>(tensor), first, count, type, out);
  case schema::Step::CastStep: {
    const uint32_t from = stepOf<schema::CastStep>(tensor).tensor();
    if (tensors[from].type == DType::F32 && (tensor.type == type || tensor.type == DType::F32))
      return fill(from, first, count, type, out);
    if (tensors[from].type == type)
      return fill(from, first, count, type, out);
    std::vector<float> values(count);
    floats(from, first, values);
    return store(type, values, out);
  }
  case schema::Step::ConcatenateStep: {
    const auto &step = stepOf<schema::ConcatenateStep>(tensor);
    std::vector<uint64_t> sizes;
    for (uint32_t from : *step.tensors())
      sizes.push_back(tensors[from].shape[step.axis()] * tensor.inner(step.axis()));
    return forEachRun(sizes, first, count, [&](size_t part, uint64_t source, uint64_t place, uint64_t run) {
      fill((*step.tensors())[static_cast<uint32_t>(part)], source, run, type, out + place * size);
    });
  }
  case schema::Step::SliceStep: {
    const auto &step = stepOf<schema::SliceStep>(tensor);
    const uint64_t inner = tensor.inner(step.axis());
    const uint64_t taken = tensor.shape[step.axis()] * inner, row = tensors[step.tensor()].shape[step.axis()] * inner;
    return forEachRun({&taken, 1}, first, count, [&](size_t, uint64_t source, uint64_t place, uint64_t run) {
      fill(step.tensor(), source / taken * row + step.begin() * inner + source % taken, run, type, out + place * size);
    });
  }
  case schema::Step::QuantizeStep:
    return quantize(tensor, first, count, out);
  case schema::Step::PermuteStep:
    return permute(tensor, first, count, out);
  case schema::Step::PadStep: {
    const auto &step = stepOf<schema::PadStep>(tensor);
    const uint64_t inner = tensor.inner(step.axis());
    const uint64_t sizes[] = {step.before() * inner, tensors[step.tensor()].shape[step.axis()] * inner,
                              step.after() * inner};
    return forEachRun(sizes, first, count, [&](size_t part, uint64_t source, uint64_t place, uint64_t run) {
      if (part == 1)
        fill(step.tensor(), source, run, type, out + place * size);
      else
        std::memset(out + place * size, 0, run * size); // zero in every type
    });
  }
  }
}

void ConstantMaker::floats(uint32_t tensor, uint64_t first, std::span<float> out) const {
  const DType type = tensors[tensor].type;
  if (type == DType::F32)
    return fill(tensor, first, out.size(), type, reinterpret_cast<std::byte *>(out.data()));
  kernels::byFloat(type, "a step's tensor", [&](auto zero) {
    std::vector<decltype(zero)> values(out.size());
    fill(tensor, first, out.size(), type, reinterpret_cast<std::byte *>(values.data()));
    std::ranges::transform(values, out.begin(), [](auto value) { return kernels::toFloat(value); });
  });
}

void ConstantMaker::rope(const schema::RopeStep &step, uint64_t first, uint64_t count, DType type,
                         std::byte *out) const {
  const uint64_t width = step.head_dim(), last = first + count, size = kernels::sizeOf(type);
  std::vector<float> row(width);
  for (uint64_t t = first / width; t * width < last; ++t) {
    ropeRow(step.base(), t, row);
    const uint64_t from = std::max(first, t * width), to = std::min(last, (t + 1) * width);
    store(type, std::span(row).subspan(from - t * width, to - from), out + (from - first) * size);
  }
}

/// Values, or scales, of a matrix with one scale a row.
void ConstantMaker::quantize(const RecipeTensor &tensor, uint64_t first, uint64_t count, std::byte *out) const {
  const uint32_t source = stepOf<schema::QuantizeStep>(tensor).tensor();
  const uint64_t width = tensors[source].shape.back(), last = first + count;
  const bool scales = tensor.result == 1;
  const uint64_t perRow = scales ? 1 : width;
  std::vector<float> row(width);
  std::vector<kernels::e4m3> codes(scales ? 0 : width);
  for (uint64_t r = first / perRow; r * perRow < last; ++r) {
    floats(source, r * width, row);
    if (!std::ranges::all_of(row, [](float value) { return std::isfinite(value); }))
      fail(Exit::Input, "row " + std::to_string(r) + " of constant " +
                            quote(program.buffers()->Get(constant.parts()->Get(0)->buffer())->name()->string_view()) +
                            " holds values that are not finite, which e4m3 has no scale for; check the weights file");
    const float scale = scaleForE4m3(row);
    if (scales) {
      std::memcpy(out + (r - first) * sizeof scale, &scale, sizeof scale);
      continue;
    }
    quantizeToE4m3(row, scale, codes);
    const uint64_t from = std::max(first, r * width), to = std::min(last, (r + 1) * width);
    std::memcpy(out + (from - first), codes.data() + (from - r * width), to - from);
  }
}

void ConstantMaker::permute(const RecipeTensor &tensor, uint64_t first, uint64_t count, std::byte *out) const {
  const auto &step = stepOf<schema::PermuteStep>(tensor);
  const Bytes &source = whole.at(step.tensor());
  const uint64_t size = kernels::sizeOf(tensor.type);
  const size_t rank = tensor.shape.size();
  // Strides of the source by the result's axes.
  std::vector<uint64_t> stride(rank), index(rank), view(rank);
  for (size_t i = 0; i < rank; ++i)
    view[(*step.order())[static_cast<uint32_t>(i)]] = tensor.shape[i];
  for (size_t i = 0; i < rank; ++i) {
    stride[i] = 1;
    for (size_t axis = (*step.order())[static_cast<uint32_t>(i)] + 1; axis < rank; ++axis)
      stride[i] *= view[axis];
  }
  uint64_t at = 0, rest = first;
  for (size_t i = rank; i-- > 0; rest /= tensor.shape[i]) {
    index[i] = rest % tensor.shape[i];
    at += index[i] * stride[i];
  }
  for (uint64_t done = 0; done < count;) {
    // The last axis lies in one piece where it is the source's last as well.
    const uint64_t run = stride.back() == 1 ? std::min(count - done, tensor.shape.back() - index.back()) : 1;
    std::memcpy(out + done * size, source.data() + at * size, run * size);
    done += run;
    index.back() += run;
    at += run * stride.back();
    for (size_t i = rank; i-- > 0 && index[i] == tensor.shape[i];) {
      at -= index[i] * stride[i];
      index[i] = 0;
      if (i > 0) {
        ++index[i - 1];
        at += stride[i - 1];
      }
    }
  }
}

} // namespace nanort
