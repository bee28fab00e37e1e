// nanort inspect: what a plan holds.
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/text.h"
#include "runtime/session/memory.h"
#include "runtime/tools/common.h"
#include "runtime/tools/dot.h"
#include "runtime/tools/launches.h"

#include <map>

namespace nanort::tools {
namespace {

struct InspectOptions {
  CommonOptions common;
  bool json = false, launches = false;
  std::string dot;    // the entry's name, or nothing
  std::string cubins; // a folder
  bool asDot = false;
};

std::string number(uint64_t value) { return std::to_string(value); }

void printEntry(const schema::Program &program, const schema::Entry &entry, bool launches) {
  uint64_t bytes = 0, flops = 0;
  double us = 0;
  bool predicted = false;
  for (const schema::Node *node : *entry.nodes()) {
    bytes += node->bytes();
    flops += node->flops();
    if (const auto best = predict(program, *node)) {
      us += best->us();
      predicted = true;
    }
  }
  char time[64] = "";
  if (predicted)
    std::snprintf(time, sizeof time, ", predicted %.1f us", us);
  print("  entry " + entry.name()->str() + ": " + schema::EnumNameEntryKind(entry.kind()) + ", " +
        number(entry.tokens()) + " tokens, " + number(entry.rows()) + " rows, " + number(entry.nodes()->size()) +
        " launches" + (entry.eager() ? " (" + number(entry.eager()->launches()) + " before fusion)" : "") + ", " +
        bytesText(bytes) + " moved, " + number(flops) + " flops" + time + "\n");
  if (launches) {
    print(launchTable(program, entry));
    return;
  }
  if (entry.loops())
    for (const schema::Loop *loop : *entry.loops())
      print("    while " + program.buffers()->Get(loop->go())->name()->str() + "[" + number(loop->word()) +
            "]: " + program.entries()->Get(loop->entry())->name()->str() + ", then " + number(loop->nodes()->size()) +
            " launches\n");
}

void printKernels(const schema::Program &program) {
  std::vector<uint64_t> launches(program.kernels()->size());
  forEachNode(program, [&](const schema::Node &node) { ++launches[kernelIndexOf(node)]; });
  for (uint32_t i = 0; i < program.kernels()->size(); ++i) {
    const schema::Kernel &kernel = *program.kernels()->Get(i);
    const char *image = kernel.cubin() && kernel.cubin()->size() > 0 ? ", cubin"
                        : kernel.source()                            ? ", source only"
                                                                     : "";
    print("  kernel " + kernel.name()->str() + ": family " + kernel.family()->str() + ", in " + number(launches[i]) +
          " launches" + image + "\n");
  }
}

/// One entry's graph: the named one, or the first decode entry's.
void printDot(const InspectOptions &options, const Plan &plan, const schema::Program &program) {
  std::string known;
  for (const schema::Entry *entry : *program.entries()) {
    if (options.dot.empty() ? entry->kind() == schema::EntryKind::Decode
                            : entry->name()->string_view() == options.dot) {
      print(dotOf(program, *entry));
      return;
    }
    known += (known.empty() ? "" : ", ") + entry->name()->str();
  }
  fail(Exit::Usage, "--dot " + (options.dot.empty() ? "without a name" : quote(options.dot)) + ": program " +
                        program.target()->str() + " of " + plan.path().string() + " has the entries " + known +
                        "; name one of them");
}

/// Machine code, a file a kernel: PROGRAM.KERNEL.cubin.
void writeCubins(const InspectOptions &options, const Plan &plan, int only) {
  const std::filesystem::path folder = options.cubins;
  std::error_code error;
  std::filesystem::create_directories(folder, error); // AtomicFile says what is wrong
  size_t count = 0;
  for (uint32_t i = 0; i < plan.root().programs()->size(); ++i) {
    const schema::Program &program = plan.program(i);
    for (const schema::Kernel *kernel : *program.kernels()) {
      if ((only >= 0 && static_cast<uint32_t>(only) != i) || !kernel->cubin() || kernel->cubin()->size() == 0)
        continue;
      AtomicFile file(folder / (program.target()->str() + "." + kernel->name()->str() + ".cubin"));
      file.write(kernel->cubin()->data(), kernel->cubin()->size());
      file.commit();
      ++count;
    }
  }
  if (count == 0)
    fail(Exit::Input, "--cubins: " + plan.path().string() +
                          " holds no machine code for that; compile the model with nanocc where NVRTC is installed");
  print(number(count) + " files in " + folder.string() + "\n");
}

void inspect(const InspectOptions &options) {
  const auto plan = Plan::open(options.common.plan);
  const schema::Plan &root = plan->root();
  // --program NAME restricts the listing.
  const int only =
      options.common.program.empty() ? -1 : static_cast<int>(chooseProgramFor(*plan, "", options.common.program));
  if (options.asDot) {
    printDot(options, *plan, plan->program(only < 0 ? 0 : static_cast<size_t>(only)));
    flushOutput();
    return;
  }
  if (!options.cubins.empty()) {
    writeCubins(options, *plan, only);
    flushOutput();
    return;
  }
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
          ", mapped " + bytesText(m.mapped()) + ", together on the device " + bytesText(requestedBy(program).plan()) +
          "\n");
    for (const schema::Entry *entry : *program.entries())
      printEntry(program, *entry, options.launches);
    printKernels(program);
  }
  flushOutput();
}

} // namespace

void addInspect(CLI::App &app) {
  CLI::App *command = app.add_subcommand("inspect", "Show programs, entries, memory and kernels of a plan");
  auto options = std::make_shared<InspectOptions>();
  addCommon(*command, options->common);
  auto *json = command->add_flag("--json", options->json, "The compiler's report, as nanocc --report json printed it");
  auto *launches = command
                       ->add_flag("--launches", options->launches,
                                  "Every launch too: its line of the model, bytes, FLOPs, predicted time")
                       ->excludes(json);
  auto *dot = command
                  ->add_option("--dot", options->dot,
                               "An entry's graph for Graphviz (default: the first decode entry of the first program)")
                  ->type_name("ENTRY")
                  ->expected(0, 1)
                  ->excludes(json)
                  ->excludes(launches);
  command->add_option("--cubins", options->cubins, "Write the kernels' machine code to files here, for cuobjdump")
      ->type_name("DIR")
      ->excludes(json)
      ->excludes(launches)
      ->excludes(dot);
  command->footer(
      "Examples:\n  nanort inspect plan.fb\n  nanort inspect plan.fb --program sm_90a --launches\n"
      "  nanort inspect plan.fb --json\n  nanort inspect plan.fb --cubins code && cuobjdump -sass code/sm_90a.wgemm*\n"
      "  nanort inspect plan.fb --dot generate_128_1 | dot -Tsvg -o graph.svg");
  command->callback([options, dot] {
    options->asDot = dot->count() > 0;
    inspect(*options);
  });
}

} // namespace nanort::tools
