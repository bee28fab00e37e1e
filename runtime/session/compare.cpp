#include "runtime/session/compare.h"

#include "codegen/Registry.h"
#include "runtime/base/error.h"
#include "runtime/base/text.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace nanort {

using kernels::ArgKind;

LockstepExecutor::LockstepExecutor(std::shared_ptr<const Plan> plan, uint32_t index, std::unique_ptr<Executor> tested,
                                   std::unique_ptr<Executor> oracle)
    : plan(std::move(plan)), program(this->plan->program(index)), tested(std::move(tested)), oracle(std::move(oracle)) {
}

void LockstepExecutor::write(uint32_t buffer, const void *data, size_t bytes) {
  tested->write(buffer, data, bytes);
  oracle->write(buffer, data, bytes);
}

void LockstepExecutor::run(uint32_t entry) {
  for (uint32_t node = 0; node < program.entries()->Get(entry)->nodes()->size(); ++node)
    runNode(entry, node);
}

void LockstepExecutor::runNode(uint32_t entryIndex, uint32_t index) {
  const schema::Entry &entry = *program.entries()->Get(entryIndex);
  const schema::Node &node = *entry.nodes()->Get(index);
  const schema::Kernel &kernel = *program.kernels()->Get(kernelIndexOf(node));
  const auto &declared = codegen::findFamily(kernel.family()->string_view())->args;
  std::vector<uint32_t> outputs;
  for (uint32_t i = 0; i < declared.size(); ++i) {
    if (isScalar(declared[i].kind))
      continue;
    const uint32_t buffer = argumentsOf(node)[i]->buffer();
    const schema::Buffer &described = *program.buffers()->Get(buffer);
    // An output's slots that a launch leaves alone must be equal on both sides too.
    if (described.space() != schema::Space::Constant) {
      a.resize(described.bytes());
      tested->read(buffer, a.data(), a.size());
      oracle->write(buffer, a.data(), a.size());
    }
    if (declared[i].kind != ArgKind::In && declared[i].kind != ArgKind::Scratch)
      outputs.push_back(buffer);
  }
  tested->runNode(entryIndex, index);
  oracle->runNode(entryIndex, index);
  const std::string where = "entry " + quote(entry.name()->string_view()) + ", node " + std::to_string(index) +
                            ", kernel " + quote(kernel.name()->string_view());
  ++differences[kernel.family()->str()].launches;
  for (uint32_t buffer : outputs)
    compare(buffer, kernel, where);
}

static float at(kernels::DType type, const std::vector<std::byte> &bytes, size_t i) {
  if (type == kernels::DType::BF16) {
    kernels::bf16 value;
    std::memcpy(&value, bytes.data() + i * 2, 2);
    return kernels::toFloat(value);
  }
  float value;
  std::memcpy(&value, bytes.data() + i * 4, 4);
  return value;
}

void LockstepExecutor::compare(uint32_t buffer, const schema::Kernel &kernel, const std::string &where) {
  const schema::Buffer &described = *program.buffers()->Get(buffer);
  const std::string place = where + ", output buffer " + quote(described.name()->string_view());
  const kernels::DType type = dtypeOf(described);
  a.resize(described.bytes());
  b.resize(described.bytes());
  tested->read(buffer, a.data(), a.size());
  oracle->read(buffer, b.data(), b.size());
  const size_t count = a.size() / kernels::sizeOf(type);
  if (type == kernels::DType::I32 || type == kernels::DType::U32) {
    for (size_t i = 0; i < count; ++i)
      if (std::memcmp(a.data() + i * 4, b.data() + i * 4, 4) != 0)
        fail(Exit::Mismatch, place + ", element " + std::to_string(i) + ": the devices give different integers");
    return;
  }
  kernels::Params params;
  for (const schema::Param *param : *kernel.params())
    params.values.emplace_back(param->name()->str(), param->value());
  const double tolerance = codegen::findFamily(kernel.family()->string_view())->tolerance(params);

  double largest = 0, difference = 0;
  size_t worst = 0;
  for (size_t i = 0; i < count; ++i) {
    const double x = at(type, a, i), y = at(type, b, i);
    const size_t size = kernels::sizeOf(type);
    if (std::memcmp(a.data() + i * size, b.data() + i * size, size) != 0 && (!std::isfinite(x) || !std::isfinite(y)))
      fail(Exit::Mismatch,
           place + ", element " + std::to_string(i) + ": " + std::to_string(x) + " instead of " + std::to_string(y));
    if (!std::isfinite(y))
      continue; // slots that neither side wrote may hold anything
    largest = std::max(largest, std::abs(y));
    if (std::abs(x - y) > difference) {
      difference = std::abs(x - y);
      worst = i;
    }
  }
  if (difference == 0)
    return;
  // Where the oracle gives zeros alone, the tolerance is absolute.
  const double ratio = difference / (std::max(tolerance, 1e-30) * (largest > 0 ? largest : 1));
  FamilyDifference &family = differences[kernel.family()->str()];
  if (ratio > family.worst) {
    family.worst = ratio;
    family.where = where;
  }
  if (ratio > 1)
    fail(Exit::Mismatch, place + ", element " + std::to_string(worst) + ": " + std::to_string(at(type, a, worst)) +
                             " instead of " + std::to_string(at(type, b, worst)) + ", " + std::to_string(ratio) +
                             " times the tolerance of family " + kernel.family()->str());
}

} // namespace nanort
