#include "codegen/Choices.h"
#include "kernels_templates/generation/words.h"
#include "runtime/base/text.h"
#include "runtime/plan/plan.h"
#include "runtime/plan/verify.h"

#include <algorithm>
#include <cmath>

namespace nanort::verify {
namespace {

using kernels::Access;
using kernels::Arg;
using kernels::Role;
using Bindings = flatbuffers::Vector<flatbuffers::Offset<schema::Binding>>;

constexpr uint32_t maxThreads = 1024, maxBlockZ = 64, maxGridYZ = 65535, maxGridX = INT32_MAX;
constexpr uint32_t maxSharedBytes = kernels::mostBlockShared();

/// How many elements of a bound buffer the session keeps up to date.
enum class Count { Tokens, Rows, Sampling, Logits, Prompts, Request, Ring }; // the last three of generate entries

struct BindingRule {
  std::string_view name;
  bool input;
  schema::DType type;
  Count count;
};
constexpr BindingRule knownBindings[] = {
    {"tokens", true, schema::DType::I32, Count::Tokens},   {"prev", true, schema::DType::I32, Count::Tokens},
    {"rows", true, schema::DType::I32, Count::Tokens},     {"positions", true, schema::DType::I32, Count::Tokens},
    {"targets", true, schema::DType::I32, Count::Tokens},  {"starts", true, schema::DType::I32, Count::Rows},
    {"ends", true, schema::DType::I32, Count::Rows},       {"last", true, schema::DType::I32, Count::Rows},
    {"steps", true, schema::DType::I32, Count::Rows},      {"sampling", true, schema::DType::U32, Count::Sampling},
    {"next", false, schema::DType::I32, Count::Rows},      {"nll", false, schema::DType::F32, Count::Tokens},
    {"logits", false, schema::DType::F32, Count::Logits},  {"prompt", true, schema::DType::I32, Count::Prompts},
    {"request", true, schema::DType::I32, Count::Request}, {"ring", false, schema::DType::I32, Count::Ring},
};

const BindingRule *findRule(std::string_view name, bool input) {
  for (const BindingRule &rule : knownBindings)
    if (rule.name == name && rule.input == input)
      return &rule;
  return nullptr;
}

uint64_t countOf(const BindingRule &rule, const schema::Entry &entry, const schema::Model &model) {
  switch (rule.count) {
  case Count::Tokens:
    return entry.tokens();
  case Count::Rows:
    return entry.rows();
  case Count::Sampling:
    return 8;
  case Count::Logits:
    return kernels::elementCount(entry.tokens(), model.vocab());
  case Count::Prompts:
    return entry.rows() * model.max_seq();
  case Count::Request:
    return kernels::generation::requestWords(entry.rows());
  case Count::Ring:
    return kernels::generation::ringWords(entry.rows(), model.max_seq());
  }
  return 0;
}

/// Whether an input may be bound to an index argument: its values are then in the range which kernels::Limits promises.
/// The ids of the tokens before are ids as well.
bool accepts(const kernels::Arg &argument, std::string_view binding) {
  return binding == argument.of || (argument.of == "tokens" && binding == "prev");
}

schema::DType typeOf(const kernels::Arg &declared, const kernels::Values &params) {
  return static_cast<schema::DType>(elementType(declared, params));
}

class NodeCheck {
public:
  NodeCheck(const ProgramContext &context, const Nodes &nodes, uint32_t own, const Place &place)
      : context(context), program(context.program), nodes(nodes), entry(*program.entries()->Get(nodes.entry)),
        node(*nodes.own->Get(own)), work(node.work_as_Launch()), index(nodes.before(program) + own),
        place(place.in("node " + std::to_string(own))) {}

  void run() {
    if (node.work_type() == schema::Work::Collective)
      place.unsupported("it is a collective; this build runs no ranks together");
    if (!work && !node.work_as_Library())
      place.bad("unknown kind " + std::to_string(static_cast<int>(node.work_type())));
    if (kernelIndexOf(node) >= program.kernels()->size())
      place.bad("kernel " + std::to_string(kernelIndexOf(node)) + " does not exist");
    place = place.in(program.kernels()->Get(kernelIndexOf(node))->name()->string_view());
    arguments();
    if (nodes.generate)
      checkGenerationScalars(context, nodes, kernel(), scalars, place);
    bytes();
    launch();
    edges();
  }

private:
  const ProgramContext &context;
  const schema::Program &program;
  const Nodes &nodes;
  const schema::Entry &entry;
  const schema::Node &node;
  const schema::Launch *work; // null: a product of a library
  const uint32_t index;       // counts the nodes of the entry that a loop repeats first
  Place place;
  std::vector<uint32_t> buffers;
  std::vector<kernels::Scalar> scalars;

  const KernelInstance &kernel() const { return context.kernels[kernelIndexOf(node)]; }

  void arguments() {
    const auto &declared = kernel().kernel->args;
    if (isOfGenerations(*kernel().kernel) != (nodes.generate != nullptr))
      place.bad("a generate entry has launches of feed and advance, another none of them");
    const auto &args = argumentsOf(node);
    if (args.size() != declared.size())
      place.bad(std::to_string(declared.size()) + " arguments expected, not " + std::to_string(args.size()));
    for (uint32_t i = 0; i < declared.size(); ++i) {
      const schema::Arg &arg = *args[i];
      const Place at = place.in("argument " + std::string(declared[i].name));
      const bool scalar = isScalar(declared[i].access);
      const auto expected = !scalar                             ? schema::ArgKind::Buffer
                            : declared[i].access == Access::I32 ? schema::ArgKind::I32
                            : declared[i].access == Access::F32 ? schema::ArgKind::F32
                                                                : schema::ArgKind::Condition;
      if (arg.kind() != expected)
        at.bad("it is of another kind");
      if (!scalar) {
        buffer(declared[i], arg.buffer(), at);
        continue;
      }
      kernels::Scalar value = {};
      if (expected == schema::ArgKind::I32) {
        value.i = arg.i32();
        if (value.i < 0)
          at.bad("it is negative");
      } else if (expected == schema::ArgKind::Condition) {
        value.i = static_cast<int32_t>(arg.loop());
      } else {
        value.f = arg.f32();
        if (!std::isfinite(value.f))
          at.bad("it is not finite");
      }
      scalars.push_back(value);
    }
  }

  void buffer(const Arg &declared, uint32_t id, const Place &at) {
    if (id >= program.buffers()->size())
      at.bad("buffer " + std::to_string(id) + " does not exist");
    const schema::Buffer &b = *program.buffers()->Get(id);
    if (b.dtype() != typeOf(declared, kernel().params))
      at.bad("buffer " + quote(b.name()->string_view()) + " has another dtype");
    const bool written = declared.access != Access::In;
    if (b.space() == schema::Space::Arena) {
      if (b.entry() != static_cast<int32_t>(nodes.entry))
        at.bad("buffer " + quote(b.name()->string_view()) + " belongs to another entry");
      // A loop's own nodes write nothing there: what its entry's last node leaves stays.
      const uint32_t moment = std::min(index, entry.nodes()->size() - 1);
      if (moment < b.first() || moment > b.last() || (moment < index && written))
        at.bad("buffer " + quote(b.name()->string_view()) + " is not alive here");
    }
    if (b.space() == schema::Space::Workspace)
      at.bad("buffer " + quote(b.name()->string_view()) + " is scratch of library calls");
    if (b.space() == schema::Space::Mapped && !nodes.generate)
      at.bad("buffer " + quote(b.name()->string_view()) + " is the host's");
    auto bound = context.bound.find(id);
    const bool isInput = bound != context.bound.end() && bound->second.input;
    if (nodes.generate) {
      checkGenerationBuffer(context, nodes, declared, id, at);
    } else {
      if (written && (b.space() == schema::Space::Constant || isInput))
        at.bad("it writes " + quote(b.name()->string_view()) + ", which is read-only");
      if (!isFloat(b.dtype()))
        indices(declared, id, at);
    }
    // A launch reads and writes in no order, so what it writes must be its alone.
    for (size_t i = 0; i < buffers.size(); ++i)
      if (buffers[i] == id && (written || writes(i)))
        at.bad("buffer " + quote(b.name()->string_view()) + " is passed twice and written");
    buffers.push_back(id);
  }

  bool writes(size_t argument) const { return kernel().kernel->args[argument].access != Access::In; }

  void indices(const Arg &declared, uint32_t id, const Place &at) const {
    const schema::Buffer &b = *program.buffers()->Get(id);
    if (declared.access != Access::In) {
      // Counters of a kernel: zero at the start of a session, left zero by every launch; never an index.
      if (declared.role == Role::Counters && b.space() == schema::Space::State && !context.bound.contains(id))
        return;
      if (declared.role != Role::Next || boundAs(*entry.outputs(), id) != "next")
        at.bad("integers are written only to the output 'next', not to buffer " + quote(b.name()->string_view()));
      return;
    }
    const std::string_view binding = boundAs(*entry.inputs(), id);
    if (declared.role == Role::Sampling ? binding != "sampling"
                                        : declared.role != Role::Index || !accepts(declared, binding))
      at.bad("buffer " + quote(b.name()->string_view()) + " is not bound to the input this argument needs");
  }

  /// The name under which this entry binds a buffer; empty if it does not.
  static std::string_view boundAs(const Bindings &bindings, uint32_t id) {
    for (const schema::Binding *binding : bindings)
      if (binding->buffer() == id)
        return binding->name()->string_view();
    return {};
  }

  kernels::Limits limits() const {
    const schema::Model &model = *context.plan.model();
    return {entry.tokens(), entry.rows(), model.vocab(), model.max_seq()};
  }

  void bytes() const {
    const schema::Model &model = *context.plan.model();
    const kernels::Values launch = kernel().kernel->launch(kernel().params, scalars);
    for (size_t i = 0; i < buffers.size(); ++i) {
      const schema::Buffer &b = *program.buffers()->Get(buffers[i]);
      uint64_t available = elementsOf(b);
      if (auto logical = context.logical.find(buffers[i]); logical != context.logical.end())
        available = std::min(available, logical->second);
      // A buffer may serve entries of several sizes; only this entry's part of it holds indices of this call.
      if (auto bound = context.bound.find(buffers[i]); bound != context.bound.end() && !nodes.generate)
        available = std::min(available, countOf(*findRule(bound->second.name, bound->second.input), entry, model));
      const Arg &arg = kernel().kernel->args[i]; // buffers come first
      if (const uint64_t touched = kernel().kernel->elements(arg, launch, limits()); touched > available)
        place.in("argument " + std::string(arg.name))
            .bad("buffer " + quote(b.name()->string_view()) + " has " + std::to_string(available) +
                 " elements, the launch " + "touches " + std::to_string(touched));
    }
  }

  void launch() const {
    if (const auto *library = node.work_as_Library()) {
      if (kernel().kernel->meaning.name != "product" || kernel().kernel->engine || kernel().params["norm"] != 0)
        place.bad("a library computes products without a norm, and no engine's");
      if (library->algorithm() >= codegen::libraryAlgorithms)
        place.bad("algorithm " + std::to_string(library->algorithm()) + " of a library is beyond the " +
                  std::to_string(codegen::libraryAlgorithms) + " that its heuristic is asked for");
      return;
    }
    const kernels::Engine *engine = kernel().kernel->engine;
    const bool cpu = program.target()->string_view() == "cpu";
    if (cpu != !engine)
      place.bad(cpu ? "the references serve a cpu program, and no engine" : "no engine computes it");
    if (cpu)
      return;
    if (std::string fault = kernels::featureFault(program.target()->string_view(), engine->needs); !fault.empty())
      place.bad("engine " + std::string(engine->name) + " " + fault);
    if (!kernel().hasImage)
      place.bad("its kernel has neither source nor machine code");
    if (!work->grid() || work->grid()->size() != 3 || !work->block() || work->block()->size() != 3)
      place.bad("grid and block have 3 extents");
    const auto &grid = *work->grid(), &block = *work->block();
    for (uint32_t i = 0; i < 3; ++i)
      if (grid[i] == 0 || grid[i] > (i == 0 ? maxGridX : maxGridYZ) || block[i] == 0 ||
          block[i] > (i == 2 ? maxBlockZ : maxThreads))
        place.bad("grid or block is outside the device's limits");
    if (uint64_t(block[0]) * block[1] * block[2] > maxThreads)
      place.bad("a block has more than 1024 threads");
    if (work->shared_bytes() > maxSharedBytes)
      place.bad("it asks for more than " + std::to_string(maxSharedBytes >> 10) + " KiB of shared memory");
    // The bodies' indexing relies on the shape that their engine gives.
    const kernels::Values launch = kernel().kernel->launch(kernel().params, scalars);
    const kernels::LaunchShape shape = kernel().kernel->shape(launch);
    if (grid[0] != shape.blocks || grid[1] != 1 || grid[2] != 1 || block[0] != shape.threads || block[1] != 1 ||
        block[2] != 1 || work->shared_bytes() != shape.sharedBytes)
      place.bad("grid, block or shared memory are not those of " + kernel().kernel->text());
    maps(launch);
  }

  void maps(const kernels::Values &launch) const {
    const std::vector<kernels::TensorMap> expected = kernel().kernel->maps(launch, limits());
    const size_t count = work->maps() ? work->maps()->size() : 0;
    if (count != expected.size())
      place.bad(std::to_string(expected.size()) + " tensor maps expected, not " + std::to_string(count));
    for (uint32_t i = 0; i < count; ++i) {
      const schema::TensorMap &map = *work->maps()->Get(i);
      const kernels::TensorMap &rule = expected[i];
      if (map.arg() != kernel().kernel->indexOf(rule.arg) || map.swizzle() != rule.swizzle ||
          !std::ranges::equal(*map.extents(), rule.extents) || !std::ranges::equal(*map.strides(), rule.strides) ||
          !std::ranges::equal(*map.box(), rule.box))
        place.in("tensor map " + std::to_string(i))
            .bad("it is not that of " + kernel().kernel->text() + " for argument " + std::string(rule.arg));
    }
  }

  void edges() const {
    std::vector<uint32_t> from;
    for (const schema::Edge *edge : *node.edges()) {
      if (edge->kind() > schema::EdgeKind::Programmatic)
        place.bad("an edge is of an unknown kind");
      if (edge->from() >= index)
        place.bad("an edge comes from node " + std::to_string(edge->from()) + ", which is not an earlier one");
      from.push_back(edge->from());
      if (edge->kind() != schema::EdgeKind::Programmatic)
        continue;
      // The wait in a kernel covers one producer; a library's kernels need not have one at all.
      if (!work || !nodes.at(program, edge->from()).work_as_Launch())
        place.bad("a programmatic edge joins what is not two launches");
      if (node.edges()->size() != 1)
        place.bad("a programmatic edge is one of several: a join needs full edges");
    }
    std::sort(from.begin(), from.end());
    if (std::adjacent_find(from.begin(), from.end()) != from.end())
      place.bad("two edges come from the same node");
  }
};

void checkSide(ProgramContext &context, uint32_t entryIndex, bool input, const Place &place) {
  const schema::Entry &entry = *context.program.entries()->Get(entryIndex);
  const Bindings &bindings = input ? *entry.inputs() : *entry.outputs();
  std::vector<std::string_view> names;
  for (const schema::Binding *binding : bindings) {
    const Place at = place.in((input ? "input " : "output ") + quote(binding->name()->string_view()));
    const BindingRule *rule = findRule(binding->name()->string_view(), input);
    if (!rule || (rule->count >= Count::Prompts) != (entry.kind() == schema::EntryKind::Generate))
      at.bad("a session knows no such name");
    if (std::find(names.begin(), names.end(), rule->name) != names.end())
      at.bad("it is bound twice");
    names.push_back(rule->name);
    if (binding->buffer() >= context.program.buffers()->size())
      at.bad("buffer " + std::to_string(binding->buffer()) + " does not exist");
    const schema::Buffer &b = *context.program.buffers()->Get(binding->buffer());
    if (b.dtype() != rule->type)
      at.bad("buffer " + quote(b.name()->string_view()) + " has another dtype");
    const uint64_t count = countOf(*rule, entry, *context.plan.model());
    if (elementsOf(b) < count)
      at.bad("buffer " + quote(b.name()->string_view()) + " has fewer than " + std::to_string(count) + " elements");
    // An output may stay in the arena if nothing follows that could overwrite it.
    const bool lasting = b.space() == schema::Space::Arena && b.entry() == static_cast<int32_t>(entryIndex) &&
                         b.last() + 1 == entry.nodes()->size();
    const bool mapped = rule->count == Count::Ring;
    if (b.space() != (mapped ? schema::Space::Mapped : schema::Space::State) && (input || !lasting))
      at.bad("buffer " + quote(b.name()->string_view()) + " is not in the " + (mapped ? "mapped" : "state") + " space");
    auto [known, fresh] = context.bound.try_emplace(binding->buffer(), rule->name, input);
    if (!fresh && (known->second.name != rule->name || known->second.input != input))
      at.bad("buffer " + quote(b.name()->string_view()) + " is also bound as " + quote(known->second.name));
  }
}

} // namespace

void checkBindings(ProgramContext &context, uint32_t entryIndex, const Place &place) {
  checkSide(context, entryIndex, true, place);
  checkSide(context, entryIndex, false, place);
}

uint32_t Nodes::before(const schema::Program &program) const {
  return loop < 0 ? 0 : program.entries()->Get(entry)->nodes()->size();
}

const schema::Node &Nodes::at(const schema::Program &program, uint32_t index) const {
  const uint32_t first = before(program);
  return index < first ? *program.entries()->Get(entry)->nodes()->Get(index) : *own->Get(index - first);
}

void checkNodes(const ProgramContext &context, uint32_t entryIndex, const Place &place) {
  const schema::Entry &entry = *context.program.entries()->Get(entryIndex);
  if (entry.nodes()->size() == 0)
    place.bad("it has no nodes");
  const bool generate = entry.kind() == schema::EntryKind::Generate;
  checkLoops(context, entry, place);
  const Nodes nodes{entryIndex, -1, entry.nodes(), generate ? &entry : nullptr};
  for (uint32_t i = 0; i < entry.nodes()->size(); ++i)
    NodeCheck(context, nodes, i, place).run();
  for (uint32_t l = 0; generate && l < entry.loops()->size(); ++l) {
    const schema::Loop &loop = *entry.loops()->Get(l);
    const Nodes repeated{loop.entry(), static_cast<int>(l), loop.nodes(), &entry};
    for (uint32_t i = 0; i < loop.nodes()->size(); ++i)
      NodeCheck(context, repeated, i, place.in("loop " + std::to_string(l))).run();
  }
}

} // namespace nanort::verify
