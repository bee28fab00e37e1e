// Generate entries: loops, and the launches that lead from chunk to chunk and from step to step.
#include "kernels_templates/generation/words.h"
#include "runtime/base/text.h"
#include "runtime/plan/plan.h"
#include "runtime/plan/verify.h"

#include <algorithm>

namespace nanort::verify {
namespace {

namespace generation = kernels::generation;

constexpr uint32_t oldestDriver = 12040; // that knows conditional nodes

const schema::Entry &repeated(const ProgramContext &context, const schema::Entry &generate, uint32_t loop) {
  return *context.program.entries()->Get(generate.loops()->Get(loop)->entry());
}

} // namespace

bool isOfGenerations(const kernels::Kernel &kernel) {
  return std::any_of(kernel.args.begin(), kernel.args.end(),
                     [](const kernels::Arg &arg) { return arg.role == kernels::Role::Request; });
}

void checkLoops(const ProgramContext &context, const schema::Entry &entry, const Place &place) {
  const uint32_t count = entry.loops() ? entry.loops()->size() : 0;
  if (entry.kind() != schema::EntryKind::Generate) {
    if (count != 0)
      place.bad("only a generate entry has loops");
    return;
  }
  constexpr schema::EntryKind kinds[] = {schema::EntryKind::Prefill, schema::EntryKind::Decode};
  if (count != 2)
    place.bad("a generate entry has a loop over a prefill entry and one over a decode entry");
  for (uint32_t i = 0; i < count; ++i) {
    const schema::Loop &loop = *entry.loops()->Get(i);
    const Place at = place.in("loop " + std::to_string(i));
    const auto &entries = *context.program.entries();
    if (loop.entry() >= entries.size() || entries[loop.entry()]->kind() != kinds[i])
      at.bad(std::string("it does not repeat a ") + (i == 0 ? "prefill" : "decode") + " entry");
    // Without it the loop would not end.
    if (loop.nodes()->size() != 1)
      at.bad("it has " + std::to_string(loop.nodes()->size()) + " nodes of its own instead of one");
    const schema::Entry &body = *entries[loop.entry()];
    if (!Plan::output(body, "next") || !Plan::input(body, "sampling"))
      at.bad("its entry samples no next token");
    if (loop.go() >= context.program.buffers()->size() || loop.go() != entry.loops()->Get(0)->go() || loop.word() != i)
      at.bad("it does not go on by its own word of one buffer");
    const schema::Buffer &go = *context.program.buffers()->Get(loop.go());
    if (go.space() != schema::Space::State || go.dtype() != schema::DType::U32 ||
        elementsOf(go) < generation::goWords || context.bound.contains(loop.go()))
      at.bad("the words that it goes on by are no u32 state of the device alone");
  }
  const schema::Entry &prefill = repeated(context, entry, 0), &decode = repeated(context, entry, 1);
  if (entry.tokens() != prefill.tokens() || entry.rows() != std::min(prefill.rows(), decode.rows()))
    place.bad("its tokens and rows are not those of the entries that it repeats");
  if (entry.rows() > generation::maxPrompts / context.plan.model()->max_seq())
    place.bad("its prompts are too long together");
  for (const char *name : {"prompt", "request"})
    if (!Plan::input(entry, name))
      place.bad(std::string("it has no input '") + name + "'");
  if (!Plan::output(entry, "ring"))
    place.bad("it has no output 'ring'");
  if (context.program.target()->string_view() != "cpu" && context.program.min_driver() < oldestDriver)
    place.bad("the program's minimum driver is older than loops in graphs, 12.4");
}

void checkGenerationBuffer(const ProgramContext &context, const Nodes &nodes, const kernels::Arg &argument,
                           uint32_t buffer, const Place &place) {
  const schema::Entry &generate = *nodes.generate;
  const std::string name = "buffer " + quote(context.program.buffers()->Get(buffer)->name()->string_view());
  auto expect = [&](std::optional<uint32_t> wanted) {
    if (wanted != buffer)
      place.bad(name + " is not what this argument needs");
  };
  auto unbound = [&] {
    if (context.program.buffers()->Get(buffer)->space() != schema::Space::State || context.bound.contains(buffer))
      place.bad(name + " is not state of the device alone");
  };
  auto inputOf = [&](uint32_t loop) {
    if (auto input = Plan::input(repeated(context, generate, loop), argument.of))
      return expect(input);
    unbound(); // the entry does without
  };
  switch (argument.role) {
  case kernels::Role::Prompt:
    return expect(Plan::input(generate, "prompt"));
  case kernels::Role::Request:
    return expect(Plan::input(generate, "request"));
  case kernels::Role::TokenRing:
    return expect(Plan::output(generate, "ring"));
  case kernels::Role::Go:
    return expect(generate.loops()->Get(0)->go());
  case kernels::Role::Progress:
    return unbound();
  case kernels::Role::Next: // the entry's own feed accepts no tokens and does not look
    return expect(nodes.loop < 0 ? Plan::input(generate, "request")
                                 : Plan::output(*context.program.entries()->Get(nodes.entry), "next"));
  case kernels::Role::PrefillInput:
    return inputOf(0);
  case kernels::Role::DecodeInput:
    return inputOf(1);
  default:
    place.bad("no launch of a generation has such an argument");
  }
}

void checkGenerationScalars(const ProgramContext &context, const Nodes &nodes, const KernelInstance &kernel,
                            const std::vector<kernels::Scalar> &scalars, const Place &place) {
  const schema::Entry &prefill = repeated(context, *nodes.generate, 0), &decode = repeated(context, *nodes.generate, 1);
  const bool feeds = kernel.kernel->meaning.name == "feed";
  if (nodes.loop < 0 ? !feeds : feeds != (nodes.loop == 0))
    place.bad(kernel.kernel->text() + " does not belong here");
  const std::pair<std::string_view, uint64_t> expected[] = {
      {"slots", prefill.tokens()},        {"chunk_rows", prefill.rows()}, {"batch", decode.rows()},
      {"accept", nodes.loop < 0 ? 0 : 1}, {"more", generation::goChunks}, {"active", generation::goSteps}};
  size_t scalar = 0;
  for (const kernels::Arg &arg : kernel.kernel->args) {
    if (!isScalar(arg.access))
      continue;
    const auto value = static_cast<uint64_t>(scalars[scalar++].i);
    for (const auto &[name, wanted] : expected)
      if (arg.name == name && value != wanted)
        place.bad("scalar " + std::string(name) + " is " + std::to_string(value) + ", not " + std::to_string(wanted));
  }
  if (kernel.params["max_seq"] != static_cast<int64_t>(context.plan.model()->max_seq()))
    place.bad("max_seq is not the model's");
}

} // namespace nanort::verify
