// nanort inspect: what a plan holds.
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/text.h"
#include "runtime/plan/machine_code.h"
#include "runtime/report/dot.h"
#include "runtime/report/format.h"
#include "runtime/report/report.h"
#include "runtime/session/memory.h"
#include "runtime/tools/common.h"

namespace nanort::tools {
namespace {

struct InspectOptions {
  CommonOptions common;
  bool json = false, launches = false;
  std::string report; // text, json or html
  std::string dot;    // the entry's name, or nothing
  std::string cubins; // a folder
  bool asDot = false;
};

std::string number(uint64_t value) { return std::to_string(value); }

void printEntry(const report::Entry &entry, bool launches) {
  const schema::Entry &table = *entry.table;
  report::Counts own; // without its loops
  double us = 0;
  bool predicted = false;
  for (const report::Launch &launch : entry.launches) {
    own.bytes += launch.bytes;
    own.flops += launch.flops;
    if (launch.predicted) {
      us += launch.predicted->us();
      predicted = true;
    }
  }
  print("  entry " + entry.name + ": " + schema::EnumNameEntryKind(table.kind()) + ", " + number(table.tokens()) +
        " tokens, " + number(table.rows()) + " rows, " + number(entry.launches.size()) + " launches" +
        (table.eager() ? " (" + number(table.eager()->launches()) + " before fusion)" : "") + ", " +
        bytesText(own.bytes) + " moved, " + number(own.flops) + " flops" +
        (predicted ? ", predicted " + report::decimal(us, 1, "") + " us" : "") + "\n");
  if (launches) {
    print(report::launchTable(entry, "    ", true));
    return;
  }
  for (const report::Loop &loop : entry.loops)
    print("    " + loop.text() + ", then " + number(loop.launches.size()) + " launches\n");
}

void printKernels(const schema::Program &program) {
  std::vector<uint64_t> launches(program.kernels()->size());
  forEachNode(program, [&](const schema::Node &node) { ++launches[kernelIndexOf(node)]; });
  for (uint32_t i = 0; i < program.kernels()->size(); ++i) {
    const schema::Kernel &kernel = *program.kernels()->Get(i);
    const char *image = kernel.code() ? ", machine code" : kernel.source() ? ", source only" : "";
    print("  kernel " + kernel.name()->str() + ": " + kernel.meaning()->str() +
          (kernel.engine() ? " by " + kernel.engine()->str() : "") + ", in " + number(launches[i]) + " launches" +
          image + "\n");
  }
}

/// One entry's graph: the named one, or the first decode entry's.
void printDot(const InspectOptions &options, const Plan &plan, const report::Program &program) {
  std::string known;
  for (const report::Entry &entry : program.entries) {
    if (options.dot.empty() ? entry.table->kind() == schema::EntryKind::Decode : entry.name == options.dot) {
      print(report::dotOf(program, entry));
      return;
    }
    known += (known.empty() ? "" : ", ") + entry.name;
  }
  fail(Exit::Usage, "--dot " + (options.dot.empty() ? "without a name" : quote(options.dot)) + ": program " +
                        program.target + " of " + plan.path().string() + " has the entries " + known +
                        "; name one of them");
}

/// Machine code, a file a kernel: PROGRAM.KERNEL.cubin, or .ptx.
void writeCubins(const InspectOptions &options, const Plan &plan, int only) {
  const std::filesystem::path folder = options.cubins;
  const std::vector<NamedPath> inputs = inputsOf(options.common, plan);
  std::error_code error;
  std::filesystem::create_directories(folder, error); // AtomicFile says what is wrong
  size_t count = 0;
  for (uint32_t i = 0; i < plan.root().programs()->size(); ++i) {
    if (only >= 0 && static_cast<uint32_t>(only) != i)
      continue;
    const schema::Program &program = plan.program(i);
    const MachineCode code(plan, i);
    for (const schema::Kernel *kernel : *program.kernels()) {
      if (!kernel->code())
        continue;
      const kernels::Target *target = kernels::findTarget(program.target()->string_view());
      const std::filesystem::path path = folder / (program.target()->str() + "." + kernel->name()->str() +
                                                   (target && target->isPtx() ? ".ptx" : ".cubin"));
      checkOutputs(inputs, {{"--cubins", path}});
      AtomicFile file(path);
      file.write(code.of(*kernel).data(), code.of(*kernel).size());
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
    printDot(options, *plan, report::describe(*plan, only < 0 ? 0 : static_cast<uint32_t>(only)));
    flushOutput();
    return;
  }
  if (!options.cubins.empty()) {
    writeCubins(options, *plan, only);
    flushOutput();
    return;
  }
  if (options.report == "text" || options.report == "html") {
    print(options.report == "text" ? report::text(*plan) : report::html(*plan));
    flushOutput();
    return;
  }
  if (options.json || options.report == "json") {
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
    for (const report::Entry &entry : report::describe(*plan, i).entries)
      printEntry(entry, options.launches);
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
  auto *report = command->add_option("--report", options->report, "The same bytes that nanocc --report prints")
                     ->type_name("text|json|html")
                     ->check(CLI::IsMember({"text", "json", "html"}))
                     ->excludes(json)
                     ->excludes(launches);
  auto *dot = command
                  ->add_option("--dot", options->dot,
                               "An entry's graph for Graphviz (default: the first decode entry of the first program)")
                  ->type_name("ENTRY")
                  ->expected(0, 1)
                  ->excludes(json)
                  ->excludes(launches)
                  ->excludes(report);
  command->add_option("--cubins", options->cubins, "Write the kernels' machine code to files here, for cuobjdump")
      ->type_name("DIR")
      ->excludes(json)
      ->excludes(launches)
      ->excludes(report)
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
