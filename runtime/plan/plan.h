// A verified plan.fb. Nothing is allocated on a device before this has passed.
#pragma once

#include "kernels_templates/base/dtype.h"
#include "plan_generated.h" // flatc, from runtime/schema/plan.fbs
#include "runtime/base/file.h"
#include "runtime/plan/kernel.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace nanort {

/// A mapped plan whose structure, schema hash, digest and meaning have been checked: every index, offset + size, grid,
/// argument count and kind (against its kernel), and edge is in range, and every recipe fits its buffer.
class Plan {
public:
  /// Errors: Exit::Input naming the file and the first violated rule, Exit::Unsupported for another format version.
  static std::shared_ptr<const Plan> open(const std::filesystem::path &path);

  /// A plan that its serialiser has just built and keeps for as long: its meaning is checked, errors name `name`.
  static std::shared_ptr<const Plan> built(const schema::Plan &table, const std::string &name);

  const schema::Plan &root() const { return *table; }
  const schema::Program &program(size_t i) const { return *table->programs()->Get(i); }
  /// Of a program, as its kernels are counted.
  const std::vector<KernelInstance> &kernels(size_t program) const { return instances[program]; }
  const std::filesystem::path &path() const { return name; }

  /// Index of the buffer bound to `name`; nullopt if the entry has no such binding.
  static std::optional<uint32_t> input(const schema::Entry &entry, std::string_view name);
  static std::optional<uint32_t> output(const schema::Entry &entry, std::string_view name);

private:
  Plan() = default;
  std::filesystem::path name;
  std::shared_ptr<const MappedFile> file; // null of a plan in memory
  const schema::Plan *table = nullptr;
  KernelInstances instances;
};

inline constexpr uint32_t planFormatVersion = 6;

/// What Program.precision may be.
inline constexpr std::string_view precisions[] = {"f32", "bf16", "fp8"};

/// SHA-256 of the binary schema that this build reads and writes (Plan.schema_hash).
std::span<const uint8_t, 32> schemaHash();

/// Finishes a serialised plan in place: writes the digest of `file` into its digest field, which must have 32 bytes.
void sealPlan(std::span<uint8_t> file);

/// A node's kernel, an index into Program.kernels, and its arguments. Of a verified plan: its nodes are launches and
/// products of a library, which both have them.
inline uint32_t kernelIndexOf(const schema::Node &node) {
  const auto *launch = node.work_as_Launch();
  return launch ? launch->kernel() : node.work_as_Library()->kernel();
}
inline const flatbuffers::Vector<flatbuffers::Offset<schema::Arg>> &argumentsOf(const schema::Node &node) {
  const auto *launch = node.work_as_Launch();
  return launch ? *launch->args() : *node.work_as_Library()->args();
}

/// Calls f with every node of a program, those of loops included.
template <typename F> void forEachNode(const schema::Program &program, F f) {
  for (const schema::Entry *entry : *program.entries()) {
    for (const schema::Node *node : *entry->nodes())
      f(*node);
    if (!entry->loops())
      continue;
    for (const schema::Loop *loop : *entry->loops())
      for (const schema::Node *node : *loop->nodes())
        f(*node);
  }
}

#define X(type, ...) static_assert(static_cast<int>(kernels::DType::type) == static_cast<int>(schema::DType::type));
NANO_ELEMENT_TYPES(X)
#undef X
static_assert(static_cast<size_t>(schema::DType::MAX) + 1 == kernels::elementTypes.size());

inline kernels::DType dtypeOf(const schema::Buffer &buffer) { return static_cast<kernels::DType>(buffer.dtype()); }

} // namespace nanort
