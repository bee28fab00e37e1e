// The semantic check of a plan whose structure FlatBuffers has verified: after it, no index, range, argument or edge
// that an executor follows can leave its buffer, whatever the file says.
#pragma once

#include "plan_generated.h"
#include "runtime/base/error.h"
#include "runtime/plan/kernel.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace nanort {

/// Errors: Exit::Input naming `file`, the place and the first violated rule; Exit::Unsupported for a sound plan that
/// needs what this build lacks. Returns what it made of the kernels.
KernelInstances verifyPlan(const schema::Plan &plan, const std::string &file);

namespace verify {

/// Where a check is: prefixes its message.
struct Place {
  std::string file;
  std::string text;

  Place in(std::string_view part) const { return {file, text + (text.empty() ? "" : ": ") + std::string(part)}; }
  [[noreturn]] void bad(const std::string &rule) const {
    fail(Exit::Input, file + ": " + text + ": " + rule + "; compile the model again with nanocc");
  }
  /// Nothing is wrong with the plan but that this build cannot run it.
  [[noreturn]] void unsupported(const std::string &what) const {
    fail(Exit::Unsupported, file + ": " + text + ": " + what + "; compile the model again with this build's nanocc");
  }
};

/// What the entries' checks need of a program that has passed its own.
struct ProgramContext {
  const schema::Plan &plan;
  const schema::Program &program;
  std::vector<KernelInstance> kernels;
  /// Of each buffer that a layout step changed: its elements before, which is what references see.
  std::unordered_map<uint32_t, uint64_t> logical;
  /// The name under which any entry binds a buffer, and whether as an input. A buffer has one name: an index that the
  /// session keeps in range must not also be something a kernel writes.
  struct Bound {
    std::string_view name;
    bool input;
    Bound(std::string_view name, bool input) : name(name), input(input) {}
  };
  std::unordered_map<uint32_t, Bound> bound;
};

/// Bindings of one entry: known names, element types and sizes. Fills `context.bound`.
void checkBindings(ProgramContext &context, uint32_t entryIndex, const Place &place);
/// The nodes of an entry, or the own nodes of one of its loops.
struct Nodes {
  uint32_t entry; // whose arena and edges they share: a loop's is the one that it repeats
  int loop;       // -1: the entry's own
  const flatbuffers::Vector<flatbuffers::Offset<schema::Node>> *own;
  const schema::Entry *generate; // null in other entries

  /// How many nodes edges count before the own ones, and the node of such an index.
  uint32_t before(const schema::Program &program) const;
  const schema::Node &at(const schema::Program &program, uint32_t index) const;
};
/// Nodes of one entry, and of its loops, against kernels, buffers and launch limits.
void checkNodes(const ProgramContext &context, uint32_t entryIndex, const Place &place);

/// Whether only generate entries launch it.
bool isOfGenerations(const kernels::Kernel &kernel);
/// Loops: none, or in a generate entry one over a prefill entry, then one over a decode entry.
void checkLoops(const ProgramContext &context, const schema::Entry &entry, const Place &place);
/// Arguments of a launch of a generation: it writes what other entries read as indices, so each must be the buffer of
/// its role.
void checkGenerationBuffer(const ProgramContext &context, const Nodes &nodes, const kernels::Arg &argument,
                           uint32_t buffer, const Place &place);
void checkGenerationScalars(const ProgramContext &context, const Nodes &nodes, const KernelInstance &kernel,
                            const std::vector<kernels::Scalar> &scalars, const Place &place);

std::string numbered(const char *what, size_t index, const flatbuffers::String *name);
bool isFloat(schema::DType type);
/// Product of a shape that must have 1 to 8 positive extents, and fewer than 2^48 elements.
uint64_t checkShape(std::span<const uint64_t> shape, const Place &place);
/// Recipes: every source, step and part; each constant is made once, and all are. Fills `context.logical`.
void checkConstants(ProgramContext &context, const Place &place);
/// Rings: every buffer of keys and values is a part of one.
void checkRings(const schema::Program &program, const Place &place);
/// Elements of a buffer (its shape's product).
uint64_t elementsOf(const schema::Buffer &buffer);

} // namespace verify
} // namespace nanort
