#include "runtime/session/compare.h"

#include "runtime/base/error.h"
#include "runtime/base/text.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace nanort {

using kernels::Access;

LockstepExecutor::LockstepExecutor(std::shared_ptr<const Plan> plan, uint32_t index, std::unique_ptr<Executor> tested,
                                   std::unique_ptr<Executor> oracle)
    : plan(std::move(plan)), program(this->plan->program(index)), kernels(this->plan->kernels(index)),
      tested(std::move(tested)), oracle(std::move(oracle)) {}

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
  const KernelInstance &kernel = kernels[kernelIndexOf(node)];
  const auto &declared = kernel.kernel->args;
  std::vector<uint32_t> outputs;
  for (uint32_t i = 0; i < declared.size(); ++i) {
    if (isScalar(declared[i].access))
      continue;
    const uint32_t buffer = argumentsOf(node)[i]->buffer();
    const schema::Buffer &described = *program.buffers()->Get(buffer);
    // An output's slots that a launch leaves alone must be equal on both sides too.
    if (described.space() != schema::Space::Constant) {
      a.resize(described.bytes());
      tested->read(buffer, a.data(), a.size());
      oracle->write(buffer, a.data(), a.size());
    }
    if (declared[i].access != Access::In && declared[i].access != Access::Scratch)
      outputs.push_back(buffer);
  }
  tested->runNode(entryIndex, index);
  oracle->runNode(entryIndex, index);
  const std::string where = "entry " + quote(entry.name()->string_view()) + ", node " + std::to_string(index) +
                            ", kernel " + quote(program.kernels()->Get(kernelIndexOf(node))->name()->string_view());
  ++differences[kernel.kernel->text()].launches;
  for (uint32_t buffer : outputs)
    compare(buffer, kernel, where);
}

void LockstepExecutor::compare(uint32_t buffer, const KernelInstance &kernel, const std::string &where) {
  const schema::Buffer &described = *program.buffers()->Get(buffer);
  const std::string place = where + ", output buffer " + quote(described.name()->string_view());
  const kernels::DType type = dtypeOf(described);
  a.resize(described.bytes());
  b.resize(described.bytes());
  tested->read(buffer, a.data(), a.size());
  oracle->read(buffer, b.data(), b.size());
  const size_t count = kernels::elementsIn(type, a.size());
  if (!kernels::isFloat(type)) {
    for (size_t i = 0; i < count; ++i)
      if (std::memcmp(a.data() + i * 4, b.data() + i * 4, 4) != 0)
        fail(Exit::Mismatch, place + ", element " + std::to_string(i) + ": the devices give different integers");
    return;
  }
  const double tolerance = kernel.kernel->tolerance(kernel.params);

  double largest = 0, difference = 0;
  size_t worst = 0;
  for (size_t i = 0; i < count; ++i) {
    const double x = kernels::floatAt(type, a.data(), i), y = kernels::floatAt(type, b.data(), i);
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
  KernelDifference &kept = differences[kernel.kernel->text()];
  if (ratio > kept.worst) {
    kept.worst = ratio;
    kept.where = where;
  }
  if (ratio > 1)
    fail(Exit::Mismatch, place + ", element " + std::to_string(worst) + ": " +
                             std::to_string(kernels::floatAt(type, a.data(), worst)) + " instead of " +
                             std::to_string(kernels::floatAt(type, b.data(), worst)) + ", " + std::to_string(ratio) +
                             " times the tolerance of " + kernel.kernel->text());
}

} // namespace nanort
