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

constexpr int64_t grain = 1 << 14; // elements; a multiple of Philox's four words

std::vector<uint64_t> shapeOf(const schema::Parameter &parameter) {
  return {parameter.shape()->begin(), parameter.shape()->end()};
}

uint64_t elementsOf(const schema::Parameter &parameter) {
  uint64_t elements = 1;
  for (uint64_t extent : *parameter.shape())
    elements *= extent;
  return elements;
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

void Weights::read(uint32_t index, uint64_t first, uint64_t count, kernels::DType type, std::byte *out) const {
  const schema::Parameter &parameter = *plan->root().parameters()->Get(index);
  const std::string name = parameter.name()->str();
  const Tensor *tensor = file ? file->find(name) : nullptr;
  if (tensor && typeOf(*tensor) == type) {
    file->read(*tensor, kernels::bytesOf(type, first), {out, kernels::bytesOf(type, count)});
    return;
  }
  const std::vector<uint64_t> shape = shapeOf(parameter);
  std::vector<float> values;
  for (uint64_t i = 0; i < count; i += values.size()) {
    values.resize(std::min<uint64_t>(grain, count - i));
    if (tensor)
      load(*file, *tensor, first + i, values);
    else
      randomValues(seed, name, shape, first + i, values);
    store(type, values, out + kernels::bytesOf(type, i));
  }
}

const std::byte *Weights::view(uint32_t parameter, kernels::DType type) const {
  const Tensor *tensor = file ? file->find(plan->root().parameters()->Get(parameter)->name()->str()) : nullptr;
  if (!tensor || typeOf(*tensor) != type ||
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
  for (uint32_t index = 0; index < parameters.size(); ++index) {
    constexpr uint64_t piece = 1 << 22; // elements: bounds the memory this needs
    std::vector<float> values;
    for (uint64_t first = 0, total = elementsOf(*parameters[index]); first < total; first += piece) {
      values.resize(std::min(piece, total - first));
      math.parallelFor(static_cast<int64_t>(values.size()), grain, [&](int64_t begin, int64_t end) {
        read(index, first + static_cast<uint64_t>(begin), static_cast<uint64_t>(end - begin), kernels::DType::F32,
             reinterpret_cast<std::byte *>(values.data() + begin));
      });
      writer.write(std::as_bytes(std::span(values)));
    }
  }
  writer.commit();
}

} // namespace nanort
