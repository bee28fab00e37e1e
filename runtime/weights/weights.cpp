#include "runtime/weights/weights.h"

#include "runtime/base/error.h"
#include "runtime/base/text.h"
#include "runtime/weights/values.h"

#include <algorithm>
#include <cstring>
#include <set>
#include <type_traits>
#include <vector>

namespace nanort {
namespace {

constexpr int64_t kGrain = 1 << 14; // elements; a multiple of Philox's four words

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
  kernels::byFloat(type, "a constant", [&](auto zero) {
    using T = decltype(zero);
    auto *to = reinterpret_cast<T *>(out) + first; // constants are aligned to their elements
    std::transform(values.begin(), values.end(), to, kernels::fromFloat<T>);
  });
}

/// Of a tensor whose dtype fromFile() has let pass.
kernels::DType typeOf(const Tensor &tensor) { return *kernels::fromSafetensors(tensor.dtype); }

/// Loads elements [first, ...) of a tensor.
void load(const Safetensors &file, const Tensor &tensor, uint64_t first, std::span<float> values) {
  kernels::byFloat(typeOf(tensor), "a weight", [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, float>) {
      file.read(tensor, first * sizeof(T), std::as_writable_bytes(values));
    } else {
      std::vector<T> stored(values.size());
      file.read(tensor, first * sizeof(T), std::as_writable_bytes(std::span(stored)));
      std::transform(stored.begin(), stored.end(), values.begin(), [](T x) { return kernels::toFloat(x); });
    }
  });
}

/// What weights may be stored as; fp8 tensors lack their scales here.
bool isWeightType(const Tensor &tensor) {
  const auto type = kernels::fromSafetensors(tensor.dtype);
  return type == kernels::DType::F32 || type == kernels::DType::BF16;
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
    if (!isWeightType(tensor))
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

void Weights::write(const schema::Program &program, const schema::Constant &constant, uint64_t first, uint64_t count,
                    std::byte *out, kernels::HostMath &math) const {
  const kernels::DType type = dtypeOf(*program.buffers()->Get(constant.buffer()));
  const uint64_t last = first + count;
  for (uint32_t s = 0; s < constant.steps()->size(); ++s) {
    if (constant.steps_type()->GetEnum<schema::Step>(s) == schema::Step::RopeStep) {
      const auto &rope = *constant.steps()->GetAs<schema::RopeStep>(s);
      const uint64_t width = rope.head_dim(), top = first / width, bottom = (last + width - 1) / width;
      math.parallelFor(static_cast<int64_t>(bottom - top), 64, [&](int64_t begin, int64_t end) {
        std::vector<float> row(width);
        for (uint64_t t = top + static_cast<uint64_t>(begin); t < top + static_cast<uint64_t>(end); ++t) {
          ropeRow(rope.base(), t, row);
          const uint64_t from = std::max(first, t * width), to = std::min(last, (t + 1) * width);
          store(type, std::span(row).subspan(from - t * width, to - from), from - first, out);
        }
      });
      continue;
    }
    uint64_t start = 0; // of a parameter in the constant
    for (uint32_t source : *constant.steps()->GetAs<schema::CastStep>(s)->sources()) {
      const schema::Parameter &parameter = *plan->root().parameters()->Get(source);
      const std::string name = parameter.name()->str();
      const std::vector<uint64_t> shape = shapeOf(parameter);
      const Tensor *tensor = file ? file->find(name) : nullptr;
      const uint64_t next = start + elementsOf(parameter);
      const uint64_t from = std::max(first, start), to = std::min(last, next);
      math.parallelFor(to > from ? static_cast<int64_t>(to - from) : 0, kGrain, [&](int64_t begin, int64_t end) {
        if (tensor && typeOf(*tensor) == type) {
          std::byte *place = out + kernels::bytesOf(type, from - first + static_cast<uint64_t>(begin));
          file->read(*tensor, kernels::bytesOf(type, from - start + static_cast<uint64_t>(begin)),
                     {place, kernels::bytesOf(type, static_cast<uint64_t>(end - begin))});
          return;
        }
        std::vector<float> values;
        for (int64_t i = begin; i < end; i += kGrain) {
          values.resize(static_cast<size_t>(std::min(kGrain, end - i)));
          const uint64_t element = from + static_cast<uint64_t>(i);
          if (tensor)
            load(*file, *tensor, element - start, values);
          else
            randomValues(seed, name, shape, element - start, values);
          store(type, values, element - first, out);
        }
      });
      start = next;
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
  if (typeOf(*tensor) != type || reinterpret_cast<uintptr_t>(tensor->data.data()) % kernels::sizeOf(type) != 0)
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
          load(*file, *tensor, first + static_cast<uint64_t>(begin), part);
        else
          randomValues(seed, name, shape, first + static_cast<uint64_t>(begin), part);
      });
      writer.write(std::as_bytes(std::span(values)));
    }
  }
  writer.commit();
}

} // namespace nanort
