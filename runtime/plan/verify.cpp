#include "runtime/plan/verify.h"

#include "codegen/Description.h"
#include "kernels_templates/base/catalogue.h"
#include "runtime/base/text.h"
#include "runtime/plan/machine_code.h"

#include <algorithm>
#include <array>
#include <map>
#include <queue>
#include <unordered_set>

namespace nanort {
namespace verify {

constexpr uint64_t maxDims = 8;
constexpr uint64_t maxMemory = uint64_t(1) << 48;

std::string numbered(const char *what, size_t index, const flatbuffers::String *name) {
  return std::string(what) + " " + std::to_string(index) + " (" + quote(name->string_view()) + ")";
}

bool isFloat(schema::DType type) { return kernels::isFloat(static_cast<kernels::DType>(type)); }
static bool isFloat(int64_t number) {
  return kernels::isElementType(number) && kernels::isFloat(static_cast<kernels::DType>(number));
}

uint64_t checkShape(std::span<const uint64_t> shape, const Place &place) {
  if (shape.empty() || shape.size() > maxDims)
    place.bad("a shape has 1 to 8 extents, not " + std::to_string(shape.size()));
  uint64_t result = 1;
  for (uint64_t extent : shape) {
    if (extent == 0)
      place.bad("an extent of its shape is 0");
    if (__builtin_mul_overflow(result, extent, &result) || result > maxMemory)
      place.bad("its shape is too large");
  }
  return result;
}

namespace {

constexpr uint64_t maxIndex = INT32_MAX; // kernels index tokens, rows and positions with 32-bit integers
constexpr uint64_t alignment = 256;

uint64_t product(const flatbuffers::Vector<uint64_t> &shape, const Place &place) {
  // FlatBuffers' verifier aligns a vector's length, not its elements.
  if (shape.size() != 0 && reinterpret_cast<uintptr_t>(shape.Data()) % sizeof(uint64_t) != 0)
    place.bad("its shape is misaligned");
  return checkShape({reinterpret_cast<const uint64_t *>(shape.Data()), shape.size()}, place);
}

void checkName(const flatbuffers::String *name, std::unordered_set<std::string_view> &seen, const Place &place) {
  if (name->size() == 0)
    place.bad("its name is empty");
  if (!seen.insert(name->string_view()).second)
    place.bad("its name occurs twice");
}

uint64_t totalOf(const schema::Memory &memory, schema::Space space) {
  const std::array<uint64_t, 6> totals = {memory.constants(), memory.kv(),        memory.state(),
                                          memory.arena(),     memory.workspace(), memory.mapped()};
  return totals[static_cast<size_t>(space)];
}

void checkModel(const schema::Plan &plan, const Place &place) {
  const schema::Model &model = *plan.model();
  if (model.vocab() == 0 || model.vocab() > maxIndex)
    place.bad("vocabulary of " + std::to_string(model.vocab()));
  if (model.max_seq() == 0 || model.max_seq() > maxIndex)
    place.bad("max_seq of " + std::to_string(model.max_seq()));
}

void checkParameters(const schema::Plan &plan, const Place &place) {
  const auto &parameters = *plan.parameters();
  for (uint32_t i = 0; i < parameters.size(); ++i) {
    const Place at = place.in(numbered("parameter", i, parameters[i]->name()));
    if (parameters[i]->name()->size() == 0)
      at.bad("its name is empty");
    if (i > 0 && parameters[i - 1]->name()->string_view() >= parameters[i]->name()->string_view())
      at.bad("parameters are not sorted by name without duplicates");
    product(*parameters[i]->shape(), at);
  }
}

void checkBuffers(const schema::Program &program, const Place &place) {
  std::unordered_set<std::string_view> names;
  const auto &buffers = *program.buffers();
  for (uint32_t i = 0; i < buffers.size(); ++i) {
    const schema::Buffer &b = *buffers[i];
    const Place at = place.in(numbered("buffer", i, b.name()));
    checkName(b.name(), names, at);
    if (b.space() > schema::Space::Mapped)
      at.bad("unknown space " + std::to_string(static_cast<int>(b.space())));
    if (!kernels::isElementType(static_cast<int64_t>(b.dtype())))
      at.bad("unknown dtype " + std::to_string(static_cast<int>(b.dtype())));
    if (kernels::bytesOf(static_cast<kernels::DType>(b.dtype()), product(*b.shape(), at)) != b.bytes())
      at.bad(std::to_string(b.bytes()) + " bytes do not match its shape and dtype");
    if (b.offset() % alignment != 0)
      at.bad("offset " + std::to_string(b.offset()) + " is not a multiple of 256");
    const uint64_t total = totalOf(*program.memory(), b.space());
    if (b.bytes() > total || b.offset() > total - b.bytes())
      at.bad("offset " + std::to_string(b.offset()) + " plus " + std::to_string(b.bytes()) +
             " bytes leave its space of " + std::to_string(total));
    if (b.space() != schema::Space::Arena) {
      if (b.entry() != -1)
        at.bad("only arena buffers belong to an entry");
      continue;
    }
    if (b.entry() < 0 || static_cast<uint32_t>(b.entry()) >= program.entries()->size())
      at.bad("its entry " + std::to_string(b.entry()) + " does not exist");
    const uint32_t nodes = program.entries()->Get(b.entry())->nodes()->size();
    if (b.first() > b.last() || b.last() >= nodes)
      at.bad("its lifetime [" + std::to_string(b.first()) + ", " + std::to_string(b.last()) +
             "] is not within the entry's " + std::to_string(nodes) + " nodes");
  }
}

/// Refuses two buffers of one lifetime domain that share bytes while both are alive. Workspace is scratch: launches
/// that follow each other may share it.
void checkOverlap(const schema::Program &program, const Place &place) {
  struct Item {
    uint64_t first, last, begin, end;
    uint32_t index;
  };
  std::map<std::pair<int, int>, std::vector<Item>> domains; // (space, entry)
  const auto &buffers = *program.buffers();
  for (uint32_t i = 0; i < buffers.size(); ++i) {
    const schema::Buffer &b = *buffers[i];
    if (b.space() == schema::Space::Workspace)
      continue;
    const bool arena = b.space() == schema::Space::Arena;
    domains[{static_cast<int>(b.space()), b.entry()}].push_back(
        {arena ? b.first() : 0, arena ? b.last() : 0, b.offset(), b.offset() + b.bytes(), i});
  }
  for (auto &[domain, items] : domains) {
    std::sort(items.begin(), items.end(), [](const Item &a, const Item &b) { return a.first < b.first; });
    std::map<uint64_t, const Item *> alive; // by begin; disjoint
    auto later = [](const Item *a, const Item *b) { return a->last > b->last; };
    std::priority_queue<const Item *, std::vector<const Item *>, decltype(later)> ending(later);
    for (const Item &item : items) {
      for (; !ending.empty() && ending.top()->last < item.first; ending.pop())
        alive.erase(ending.top()->begin);
      auto next = alive.lower_bound(item.begin);
      const Item *clash = nullptr;
      if (next != alive.end() && next->second->begin < item.end)
        clash = next->second;
      else if (next != alive.begin() && std::prev(next)->second->end > item.begin)
        clash = std::prev(next)->second;
      if (clash)
        place.in(numbered("buffer", item.index, buffers[item.index]->name()))
            .bad("shares bytes with buffer " + quote(buffers[clash->index]->name()->string_view()) +
                 " while both are alive");
      alive.emplace(item.begin, &item);
      ending.push(&item);
    }
  }
}

KernelInstance checkKernel(const schema::Plan &plan, const schema::Kernel &kernel, const Place &at) {
  KernelInstance instance;
  const std::string_view engine = kernel.engine() ? kernel.engine()->string_view() : std::string_view();
  instance.kernel = kernels::catalogue().kernel(kernel.meaning()->string_view(), engine);
  const std::string maker = plan.producer()->str();
  if (!instance.kernel)
    at.unsupported("no engine " + quote(engine) + " computes " + quote(kernel.meaning()->string_view()) + " here; " +
                   maker + " made this plan");
  if (!std::ranges::equal(*kernel.description(), codegen::descriptionHash(*instance.kernel)))
    at.unsupported("this kernel was described otherwise by the nanocc that made this plan (" + maker + ")");
  const auto &declared = instance.kernel->params;
  if (kernel.params()->size() != declared.size())
    at.bad(instance.kernel->text() + " has " + std::to_string(declared.size()) + " parameters, not " +
           std::to_string(kernel.params()->size()));
  for (const schema::Param *param : *kernel.params()) {
    const auto known = std::find_if(declared.begin(), declared.end(), [&](const kernels::Param &one) {
      return one.name == param->name()->string_view();
    });
    if (known == declared.end() || instance.params.find(known->name))
      at.bad(instance.kernel->text() + " has no parameter " + quote(param->name()->string_view()) +
             ", or it is there twice");
    const int64_t value = param->value();
    // Sizes are computed from products of a few parameters; this bound keeps cost functions from wrapping.
    if (known->isType ? !isFloat(value) : value < 0 || value > (int64_t(1) << 24))
      at.bad("parameter " + std::string(known->name) + " has the value " + std::to_string(value));
    instance.params.set(known->name, value);
  }
  if (std::string violated = instance.kernel->constraint(instance.params); !violated.empty())
    at.bad(violated);
  if (kernel.includes())
    for (uint32_t source : *kernel.includes())
      if (source >= plan.sources()->size())
        at.bad("it includes source " + std::to_string(source) + ", which does not exist");
  instance.hasImage = (kernel.source() && kernel.source()->size() > 0) || kernel.code();
  if (instance.hasImage && !instance.kernel->engine)
    at.bad("it has code, and no engine");
  return instance;
}

std::vector<KernelInstance> checkProgram(const schema::Plan &plan, const schema::Program &program, const Place &place) {
  if (std::string reason = kernels::targetFault(program.target()->string_view()); !reason.empty())
    place.bad(reason);
  if (std::ranges::find(precisions, program.precision()->string_view()) == std::end(precisions))
    place.bad("unknown precision " + quote(program.precision()->string_view()));
  if (program.ranks() == 0)
    place.bad("it has no ranks");
  if (program.ranks() > 1)
    place.unsupported("it is for " + std::to_string(program.ranks()) + " ranks; this build runs one");
  for (int space = 0; space <= static_cast<int>(schema::Space::Mapped); ++space)
    if (totalOf(*program.memory(), static_cast<schema::Space>(space)) > maxMemory)
      place.bad("a memory total exceeds 2^48 bytes");
  checkBuffers(program, place);
  checkOverlap(program, place);
  ProgramContext context{plan, program, {}, {}, {}};
  checkConstants(context, place);
  checkRings(program, place);
  std::unordered_set<std::string_view> names;
  for (uint32_t i = 0; i < program.kernels()->size(); ++i) {
    const schema::Kernel &kernel = *program.kernels()->Get(i);
    const Place at = place.in(numbered("kernel", i, kernel.name()));
    checkName(kernel.name(), names, at);
    context.kernels.push_back(checkKernel(plan, kernel, at));
  }
  if (std::string fault = codeFault(program); !fault.empty())
    place.bad(fault);

  const auto &entries = *program.entries();
  if (entries.size() == 0)
    place.bad("it has no entries");
  std::unordered_set<std::string_view> entryNames;
  for (uint32_t i = 0; i < entries.size(); ++i) {
    const Place at = place.in(numbered("entry", i, entries[i]->name()));
    checkName(entries[i]->name(), entryNames, at);
    if (entries[i]->kind() > schema::EntryKind::Generate)
      at.bad("unknown kind " + std::to_string(static_cast<int>(entries[i]->kind())));
    if (entries[i]->tokens() == 0 || entries[i]->tokens() > maxIndex || entries[i]->rows() == 0 ||
        entries[i]->rows() > maxIndex)
      at.bad("tokens and rows are 1 or more");
    if (entries[i]->kind() == schema::EntryKind::Decode && entries[i]->tokens() != entries[i]->rows())
      at.bad("a decode entry has one token slot per row");
    checkBindings(context, i, at);
  }
  // Bindings of all entries first: a node must not write what another entry takes as an input.
  for (uint32_t i = 0; i < entries.size(); ++i)
    checkNodes(context, i, place.in(numbered("entry", i, entries[i]->name())));
  return std::move(context.kernels);
}

} // namespace

uint64_t elementsOf(const schema::Buffer &buffer) {
  uint64_t elements = 1;
  for (uint64_t extent : *buffer.shape())
    elements *= extent;
  return elements;
}

} // namespace verify

KernelInstances verifyPlan(const schema::Plan &plan, const std::string &file) {
  using namespace verify;
  const Place place{file, {}};
  checkModel(plan, place.in("model"));
  if (plan.weights()->size() == 0)
    place.in("weights").bad("the path is empty");
  checkParameters(plan, place);
  if (plan.programs()->size() == 0)
    place.in("programs").bad("there are none");
  std::unordered_set<std::string_view> targets;
  KernelInstances kernels;
  for (const schema::Program *program : *plan.programs()) {
    const Place at = place.in("program " + quote(program->target()->string_view()));
    if (!targets.insert(program->target()->string_view()).second)
      at.bad("its target occurs twice");
    kernels.push_back(checkProgram(plan, *program, at));
  }
  return kernels;
}

} // namespace nanort
