#include "runtime/weights/weights.h"

#include "runtime/base/error.h"
#include "runtime/base/text.h"
#include "runtime/weights/values.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

namespace nanort {
namespace {

constexpr int64_t kGrain = 1 << 14; // elements; a multiple of Philox's four words
using kernels::bf16;

std::vector<uint64_t> shapeOf(const schema::Parameter &parameter) {
  return {parameter.shape()->begin(), parameter.shape()->end()};
}

uint64_t elementsOf(const schema::Parameter &parameter) {
  uint64_t elements = 1;
  for (uint64_t extent : *parameter.shape())
    elements *= extent;
  return elements;
}

/// Stores f32 values as elements [first, ...) of a dense array of `type`.
void store(kernels::DType type, std::span<const float> values, uint64_t first, std::byte *out) {
  if (type == kernels::DType::F32) {
    std::memcpy(out + first * 4, values.data(), values.size_bytes());
    return;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    const bf16 rounded = kernels::roundToBf16(values[i]);
    std::memcpy(out + (first + i) * 2, &rounded, 2);
  }
}

/// Loads elements [first, ...) of a file's tensor, which need not be aligned.
void load(const Tensor &tensor, uint64_t first, std::span<float> values) {
  if (tensor.dtype == "F32") {
    std::memcpy(values.data(), tensor.data.data() + first * 4, values.size_bytes());
    return;
  }
  for (size_t i = 0; i < values.size(); ++i) {
    bf16 value;
    std::memcpy(&value, tensor.data.data() + (first + i) * 2, 2);
    values[i] = kernels::toFloat(value);
  }
}

} // namespace

Weights Weights::fromFile(std::shared_ptr<const Plan> plan, const std::filesystem::path &path, bool ignoreExtra) {
  Weights weights;
  weights.file = Safetensors::open(path);
  const auto &parameters = *plan->root().parameters();
  std::set<std::string> known;
  for (const schema::Parameter *parameter : parameters) {
    const std::string name = parameter->name()->str();
    known.insert(name);
    const Tensor &tensor = weights.file->at(name);
    const std::string place = path.string() + ": tensor " + quote(name);
    if (tensor.shape != shapeOf(*parameter))
      fail(Exit::Input, place + " has the shape " + shapeText(tensor.shape) + ", " + plan->path().string() + " needs " +
                            shapeText(shapeOf(*parameter)) + "; pass the weights this plan was compiled for");
    if (tensor.dtype == "F16")
      fail(Exit::Unsupported, place + " is F16, which is not served; import the checkpoint as F32 or BF16");
    if (tensor.dtype != "F32" && tensor.dtype != "BF16")
      fail(Exit::Input, place + " has the dtype " + tensor.dtype + "; weights are F32 or BF16");
  }
  if (!ignoreExtra && weights.file->tensors().size() != parameters.size())
    for (const auto &[name, tensor] : weights.file->tensors())
      if (!known.contains(name))
        fail(Exit::Input, path.string() + ": tensor " + quote(name) +
                              " is not part of the plan's model; pass the weights this plan was compiled for");
  weights.plan = std::move(plan);
  return weights;
}

Weights Weights::random(std::shared_ptr<const Plan> plan, uint64_t seed) {
  Weights weights;
  weights.plan = std::move(plan);
  weights.seed = seed;
  return weights;
}

void Weights::write(const schema::Program &program, const schema::Constant &constant, std::byte *out,
                    kernels::HostMath &math) const {
  const kernels::DType type = dtypeOf(*program.buffers()->Get(constant.buffer()));
  for (uint32_t s = 0; s < constant.steps()->size(); ++s) {
    if (constant.steps_type()->GetEnum<schema::Step>(s) == schema::Step::RopeStep) {
      const auto &rope = *constant.steps()->GetAs<schema::RopeStep>(s);
      math.parallelFor(static_cast<int64_t>(rope.positions()), 64, [&](int64_t begin, int64_t end) {
        std::vector<float> row(rope.head_dim());
        for (int64_t t = begin; t < end; ++t) {
          ropeRow(rope.base(), static_cast<uint64_t>(t), row);
          store(type, row, static_cast<uint64_t>(t) * rope.head_dim(), out);
        }
      });
      continue;
    }
    std::byte *part = out;
    for (uint32_t source : *constant.steps()->GetAs<schema::CastStep>(s)->sources()) {
      const schema::Parameter &parameter = *plan->root().parameters()->Get(source);
      const std::string name = parameter.name()->str();
      const std::vector<uint64_t> shape = shapeOf(parameter);
      const Tensor *tensor = file ? file->find(name) : nullptr;
      math.parallelFor(static_cast<int64_t>(elementsOf(parameter)), kGrain, [&](int64_t begin, int64_t end) {
        std::vector<float> values;
        for (int64_t i = begin; i < end; i += kGrain) {
          values.resize(static_cast<size_t>(std::min(kGrain, end - i)));
          if (tensor)
            load(*tensor, static_cast<uint64_t>(i), values);
          else
            randomValues(seed, name, shape, static_cast<uint64_t>(i), values);
          store(type, values, static_cast<uint64_t>(i), part);
        }
      });
      part += elementsOf(parameter) * kernels::sizeOf(type);
    }
  }
}

const std::byte *Weights::view(const schema::Program &program, const schema::Constant &constant) const {
  if (!file || constant.steps()->size() != 1 ||
      constant.steps_type()->GetEnum<schema::Step>(0) != schema::Step::CastStep)
    return nullptr;
  const auto &sources = *constant.steps()->GetAs<schema::CastStep>(0)->sources();
  if (sources.size() != 1)
    return nullptr;
  const schema::Parameter *source = plan->root().parameters()->Get(sources[0]);
  const Tensor *tensor = file->find(source->name()->str());
  const kernels::DType type = dtypeOf(*program.buffers()->Get(constant.buffer()));
  if (tensor->dtype != (type == kernels::DType::F32 ? "F32" : "BF16") ||
      reinterpret_cast<uintptr_t>(tensor->data.data()) % kernels::sizeOf(type) != 0)
    return nullptr;
  return tensor->data.data();
}

void Weights::save(const std::filesystem::path &path, kernels::HostMath &math) const {
  const auto &parameters = *plan->root().parameters();
  std::vector<SafetensorsWriter::Declaration> declarations;
  for (const schema::Parameter *parameter : parameters)
    declarations.push_back({parameter->name()->str(), "F32", shapeOf(*parameter)});
  SafetensorsWriter writer(path, declarations);
  for (const schema::Parameter *parameter : parameters) {
    const std::string name = parameter->name()->str();
    const std::vector<uint64_t> shape = shapeOf(*parameter);
    const Tensor *tensor = file ? file->find(name) : nullptr;
    constexpr uint64_t piece = 1 << 22; // elements: bounds the memory this needs
    std::vector<float> values;
    for (uint64_t first = 0, total = elementsOf(*parameter); first < total; first += piece) {
      values.resize(std::min(piece, total - first));
      math.parallelFor(static_cast<int64_t>(values.size()), kGrain, [&](int64_t begin, int64_t end) {
        const std::span part = std::span(values).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
        if (tensor)
          load(*tensor, first + static_cast<uint64_t>(begin), part);
        else
          randomValues(seed, name, shape, first + static_cast<uint64_t>(begin), part);
      });
      writer.write(std::as_bytes(std::span(values)));
    }
  }
  writer.commit();
}

} // namespace nanort
