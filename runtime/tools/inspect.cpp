// nanort inspect: what a plan holds.
#include "runtime/tools/common.h"

#include <map>

namespace nanort::tools {
namespace {

struct InspectOptions {
  CommonOptions common;
  bool json = false;
};

std::string number(uint64_t value) { return std::to_string(value); }

void printEntry(const schema::Program &program, const schema::Entry &entry) {
  uint64_t bytes = 0, flops = 0;
  for (const schema::Node *node : *entry.nodes()) {
    bytes += node->bytes();
    flops += node->flops();
  }
  print("  entry " + entry.name()->str() + ": " + schema::EnumNameEntryKind(entry.kind()) + ", " +
        number(entry.tokens()) + " tokens, " + number(entry.rows()) + " rows, " + number(entry.nodes()->size()) +
        " launches, " + bytesText(bytes) + " moved, " + number(flops) + " flops\n");
  if (entry.loops())
    for (const schema::Loop *loop : *entry.loops())
      print("    while " + program.buffers()->Get(loop->go())->name()->str() + "[" + number(loop->word()) +
            "]: " + program.entries()->Get(loop->entry())->name()->str() + ", then " + number(loop->nodes()->size()) +
            " launches\n");
}

void printKernels(const schema::Program &program) {
  std::vector<uint64_t> launches(program.kernels()->size());
  forEachNode(program, [&](const schema::Node &node) { ++launches[node.kernel()]; });
  for (uint32_t i = 0; i < program.kernels()->size(); ++i) {
    const schema::Kernel &kernel = *program.kernels()->Get(i);
    const char *image = kernel.cubin() && kernel.cubin()->size() > 0 ? ", cubin"
                        : kernel.source()                            ? ", source only"
                                                                     : "";
    print("  kernel " + kernel.name()->str() + ": family " + kernel.family()->str() + ", in " + number(launches[i]) +
          " launches" + image + "\n");
  }
}

void inspect(const InspectOptions &options) {
  const auto plan = Plan::open(options.common.plan);
  const schema::Plan &root = plan->root();
  // --program NAME restricts the listing.
  const int only =
      options.common.program.empty() ? -1 : static_cast<int>(chooseProgramFor(*plan, "", options.common.program));
  if (options.json) {
    print(root.report()->string_view());
    if (!root.report()->string_view().ends_with('\n'))
      print("\n");
    flushOutput();
    return;
  }
  const schema::Model &model = *root.model();
  print("model " + model.name()->str() + ": " + number(model.layers()) + " layers, width " + number(model.width()) +
        ", " + number(model.heads()) + " heads (" + number(model.kv_heads()) + " of keys) of " +
        number(model.head_dim()) + ", vocabulary " + number(model.vocab()) + ", context " + number(model.max_seq()) +
        " (trained " + number(model.sequence_len()) + ")\n");
  print("made by " + root.producer()->str() + "; weights " + root.weights()->str() + " (" +
        number(root.parameters()->size()) + " parameters), tokenizer " +
        (root.tokenizer() ? root.tokenizer()->str() : "none") + "\n");
  for (uint32_t i = 0; i < root.programs()->size(); ++i) {
    if (only >= 0 && static_cast<uint32_t>(only) != i)
      continue;
    const schema::Program &program = plan->program(i);
    const schema::Memory &m = *program.memory();
    print("program " + program.target()->str() + ", precision " + program.precision()->str() + "\n");
    print("  memory: constants " + bytesText(m.constants()) + ", kv " + bytesText(m.kv()) + ", state " +
          bytesText(m.state()) + ", arena " + bytesText(m.arena()) + ", workspace " + bytesText(m.workspace()) +
          ", mapped " + bytesText(m.mapped()) + ", together on the device " + bytesText(memoryOf(program)) + "\n");
    for (const schema::Entry *entry : *program.entries())
      printEntry(program, *entry);
    printKernels(program);
  }
  flushOutput();
}

} // namespace

void addInspect(CLI::App &app) {
  CLI::App *command = app.add_subcommand("inspect", "Show programs, entries, memory and kernels of a plan");
  auto options = std::make_shared<InspectOptions>();
  addCommon(*command, options->common);
  command->add_flag("--json", options->json, "The compiler's report, as nanocc --report json printed it");
  command->footer("Examples:\n  nanort inspect plan.fb\n  nanort inspect plan.fb --program sm_90a\n"
                  "  nanort inspect plan.fb --json");
  command->callback([options] { inspect(*options); });
}

} // namespace nanort::tools
