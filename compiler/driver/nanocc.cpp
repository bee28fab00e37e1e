// nanocc: model.mlir in, plan.fb out, stage by stage.
#include "compiler/analysis/Location.h"
#include "compiler/driver/Inspection.h"
#include "compiler/driver/Nesting.h"
#include "compiler/options/Options.h"
#include "compiler/pipeline/Pipelines.h"
#include "compiler/serialize/PlanFile.h"
#include "dialects/kern/Kern.h"
#include "dialects/nano/Nano.h"
#include "dialects/plan/Plan.h"
#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/outputs.h"
#include "runtime/base/process.h"
#include "runtime/report/report.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/SourceMgr.h"

#include <filesystem>
#include <unistd.h>

using namespace mlir;
using namespace nanocc;
namespace cl = llvm::cl;
namespace fs = std::filesystem;
using nanort::Exit;

static cl::OptionCategory category("nanocc");
static cl::opt<std::string> inputFile(cl::Positional, cl::desc("<model.mlir, an emitted stage, plan.fb, or - >"),
                                      cl::init(""), cl::cat(category));
static cl::opt<std::string> outputFile("o", cl::desc("Output file; - is standard output"), cl::value_desc("file"),
                                       cl::cat(category));
static cl::list<std::string> targets("target", cl::CommaSeparated, cl::value_desc("cpu|sm_80|sm_90a|..."),
                                     cl::desc("One program each (default sm_90a; the machine is never probed)"),
                                     cl::cat(category));
static cl::list<int64_t> batches("batch", cl::CommaSeparated, cl::value_desc("1,8,..."),
                                 cl::desc("Rows of the decode entries (default 1)"), cl::cat(category));
static cl::opt<int64_t> maxSeq("max-seq", cl::value_desc("N"),
                               cl::desc("Positions a session holds (default: as trained)"), cl::cat(category));
static cl::list<int64_t> prefill("prefill", cl::CommaSeparated, cl::value_desc("128,512,..."),
                                 cl::desc("Token buckets (default powers of two from 128, ending in max-seq)"),
                                 cl::cat(category));
static cl::opt<std::string>
    precision("precision", cl::value_desc("f32|bf16|fp8|nvfp4|auto"),
              cl::desc("What is stored between launches (default bf16; f32 if cpu is the only target)"),
              cl::cat(category));
static cl::opt<std::string>
    fuse("fuse", cl::value_desc("none|all|LIST"),
         cl::desc("Fusions: all (default), none, or some of attention,embed,norm,activation,residual"),
         cl::cat(category));
static cl::list<std::string> templates("template", cl::value_desc("PATTERN=ENGINE[,PARAMETER=N]..."),
                                       cl::desc("Serve the launches whose ENTRY/WEIGHT or ENTRY/RING matches the glob "
                                                "pattern so, whatever the cost model says; it decides "
                                                "what is left open. May be repeated, the last match wins"),
                                       cl::cat(category));
static cl::list<std::string> tuningFiles("tuning", cl::value_desc("file"),
                                         cl::desc("Times measured by nanort tune, which outweigh predictions"),
                                         cl::cat(category));
static cl::opt<std::string> emit("emit", cl::value_desc("nano|kern|plan|fb"), cl::init("fb"),
                                 cl::desc("Stop after a stage and write its IR, which nanocc reads back (default fb)"),
                                 cl::cat(category));
static cl::opt<std::string> report("report", cl::value_desc("text|json|html"),
                                   cl::desc("Launches, bytes, FLOPs, memory"), cl::cat(category));
static cl::opt<std::string> reportFile("report-file", cl::value_desc("file"),
                                       cl::desc("Where the report goes (default standard output)"), cl::cat(category));

namespace {

/// Ends the tool with one line that says what is wrong.
[[noreturn]] void refuse(Exit code, const std::string &message) { nanort::fail(code, message); }

/// Of two values the last would win in silence.
void refuseTwice() {
  for (const cl::Option *option :
       std::initializer_list<const cl::Option *>{&outputFile, &maxSeq, &precision, &fuse, &emit, &report, &reportFile})
    if (option->getNumOccurrences() > 1)
      refuse(Exit::Usage,
             (option->ArgStr.size() > 1 ? "--" : "-") + option->ArgStr.str() + " is given twice; name one value");
}

OptionFlags flagsGiven() {
  OptionFlags flags;
  if (targets.getNumOccurrences())
    flags.targets.emplace(targets.begin(), targets.end());
  if (batches.getNumOccurrences())
    flags.batches.emplace(batches.begin(), batches.end());
  if (prefill.getNumOccurrences())
    flags.prefill.emplace(prefill.begin(), prefill.end());
  if (maxSeq.getNumOccurrences())
    flags.maxSeq = maxSeq;
  if (precision.getNumOccurrences())
    flags.precision = precision;
  if (fuse.getNumOccurrences())
    flags.fuse = fuse;
  if (templates.getNumOccurrences())
    flags.templates.emplace(templates.begin(), templates.end());
  std::map<std::string, std::string> devices;
  for (const std::string &file : tuningFiles) {
    if (!flags.tuning)
      flags.tuning.emplace();
    if (llvm::Error error = parseTuning(nanort::readText(file), *flags.tuning, devices))
      refuse(Exit::Input, file + ": " + llvm::toString(std::move(error)) + "; nanort tune writes such files");
  }
  return flags;
}

bool anyGiven(const OptionFlags &flags) {
  return flags.targets || flags.batches || flags.prefill || flags.maxSeq || flags.precision || flags.fuse ||
         flags.templates || flags.tuning;
}

fs::path folderOf(const std::string &file) {
  return file == "-" ? fs::current_path() : fs::absolute(file).parent_path();
}

/// Paths in a module are relative to the file it is in; makes them relative to the file it goes to.
void rebasePaths(ModuleOp module, const fs::path &from, const fs::path &to) {
  for (StringRef name : {StringRef(nano::NanoDialect::weightsAttr), StringRef(nano::NanoDialect::tokenizerAttr)}) {
    auto path = module->getAttrOfType<StringAttr>(name);
    if (!path || fs::path(path.str()).is_absolute())
      continue;
    fs::path moved = (from / path.str()).lexically_normal().lexically_proximate(to.lexically_normal());
    module->setAttr(name, StringAttr::get(module.getContext(), moved.string()));
  }
}

OwningOpRef<ModuleOp> parse(MLIRContext &context, llvm::SourceMgr &sources, const std::string &text) {
  if (const std::optional<size_t> line = nestsDeeperThan(text, mostNesting))
    refuse(Exit::Input, inputFile + ":" + std::to_string(*line) + ": brackets nest deeper than " +
                            std::to_string(mostNesting) + "; no module of nanocc-import's does");
  sources.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBuffer(text, inputFile == "-" ? "<stdin>" : inputFile.getValue()), SMLoc());
  OwningOpRef<ModuleOp> module = parseSourceFile<ModuleOp>(sources, ParserConfig(&context));
  if (!module)
    refuse(Exit::Input, inputFile + " is not a module that nanocc can read; the lines above say where and why");
  return module;
}

/// From the module's stage to `last`; what stops it decides the exit code.
void compile(ModuleOp module, Stage last, TimingScope &timing) {
  FailureOr<Stage> stage = stageOf(module);
  if (failed(stage))
    refuse(Exit::Input, inputFile + " has an unknown stage");
  if (*stage > last)
    refuse(Exit::Usage, "--emit asks for a stage before the one that " + inputFile + " is at");
  PassManager manager(module.getContext());
  if (failed(applyPassManagerCLOptions(manager)))
    refuse(Exit::Usage, "the pass manager's flags contradict each other");
  manager.enableTiming(timing);
  std::optional<Refusal> refusal = runPipeline(manager, module, *stage, last);
  if (!refusal)
    return;
  const std::string where = "; the lines above say where and why";
  switch (*refusal) {
  case Refusal::Contract:
    refuse(Exit::Input, inputFile + " does not keep the contract of its stage" + where);
  case Refusal::Choice:
    refuse(Exit::Usage, "--template cannot be followed" + where);
  case Refusal::Unsupported:
    refuse(Exit::Unsupported, inputFile + " could not be lowered" + where);
  case Refusal::Internal:
    refuse(Exit::Internal, inputFile + " could not be lowered" + where);
  }
}

/// The output and the report, or neither: both are opened before the first byte, and the output, which a build waits
/// for, is the last to be put into place.
void write(std::optional<std::string_view> bytes, std::optional<std::string_view> reportText) {
  std::optional<nanort::AtomicFile> output, summary;
  if (bytes)
    output.emplace(outputFile.getValue());
  if (reportText)
    summary.emplace(reportFile.empty() ? "-" : reportFile.getValue());
  if (bytes)
    output->write(*bytes);
  if (reportText) {
    summary->write(*reportText);
    summary->commit();
  }
  if (bytes)
    output->commit();
}

/// Of the command line; those that the module names besides, in the folder it is in, if there is one yet.
void checkFiles(ModuleOp module = {}) {
  std::vector<nanort::NamedPath> inputs = {{"the input", inputFile.getValue()}};
  for (const std::string &file : tuningFiles)
    inputs.push_back({"--tuning", file});
  if (module)
    for (auto [name, what] : {std::pair(StringRef(nano::NanoDialect::weightsAttr), "the model's weights"),
                              std::pair(StringRef(nano::NanoDialect::tokenizerAttr), "the model's tokenizer")})
      if (auto path = module->getAttrOfType<StringAttr>(name))
        inputs.push_back({what, folderOf(inputFile) / path.str()});
  nanort::checkOutputs(inputs, {{"-o", outputFile.getValue()}, {"--report-file", reportFile.getValue()}});
}

void checkFlags() {
  if (inputFile.empty())
    refuse(Exit::Usage, "nothing to compile: nanocc model.mlir -o plan.fb");
  if (outputFile.empty() && !report.getNumOccurrences())
    refuse(Exit::Usage, "no output: give -o FILE (or -o - for standard output)");
  if (llvm::is_contained(targets, ""))
    refuse(Exit::Usage, "--target has an empty name; use targets such as cpu,sm_90a");
  if (emit != "fb" && !parseStage(emit))
    refuse(Exit::Usage, "--emit " + emit + " is unknown; use nano, kern, plan or fb");
  if (report.getNumOccurrences() && report != "text" && report != "json" && report != "html")
    refuse(Exit::Usage, "--report " + report + " is unknown; use text, json or html");
  if (report.getNumOccurrences() && emit != "fb" && emit != "plan")
    refuse(Exit::Usage, "--report needs a plan; leave --emit " + emit + " out");
  if (outputFile == "-" && report.getNumOccurrences() && (reportFile.empty() || reportFile == "-"))
    refuse(Exit::Usage, "the plan and the report cannot both go to standard output; give --report-file");
  if (reportFile.getNumOccurrences() && !report.getNumOccurrences())
    refuse(Exit::Usage, "--report-file " + reportFile + " without a report; give --report text, json or html");
  checkFiles();
}

/// As --report asks, of a plan just written.
std::string reportOf(const nanort::schema::Plan &root) {
  if (report == "json") // which the plan holds
    return root.report()->str();
  auto plan = nanort::Plan::built(root, "the plan");
  return report == "html" ? nanort::report::html(*plan) : nanort::report::text(*plan);
}

void nanoccMain(TimingScope &timing) {
  checkFlags();
  DialectRegistry registry;
  registry.insert<nano::NanoDialect, kern::KernDialect, plan::PlanDialect, func::FuncDialect>();
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler diagnostics(sources, &context);
  // Remarks and warnings are no fault of the model's text: a line without it, once and not for each entry.
  context.printOpOnDiagnostic(false);
  llvm::StringSet<> said;
  ScopedDiagnosticHandler printLine(&context, [&](Diagnostic &diagnostic) {
    bool remark = diagnostic.getSeverity() == DiagnosticSeverity::Remark;
    if (!remark && diagnostic.getSeverity() != DiagnosticSeverity::Warning)
      return failure();
    std::string place = locationText(diagnostic.getLocation());
    std::string line = (place.empty() ? "" : place + ": ") + (remark ? "remark: " : "warning: ") + diagnostic.str();
    if (said.insert(line).second)
      llvm::errs() << "nanocc: " << line << "\n";
    return success();
  });

  refuseTwice();
  std::string text = nanort::readText(inputFile.getValue());
  bool isPlanFile = text.size() > 8 && text.compare(4, 4, "NANO") == 0;
  OptionFlags flags = flagsGiven();
  OwningOpRef<ModuleOp> module;
  if (isPlanFile) {
    if (anyGiven(flags))
      refuse(Exit::Usage,
             inputFile + " is a finished plan: flags that decide what it holds come too late; compile model.mlir");
    if (inputFile == "-")
      refuse(Exit::Usage, "a plan is read from a file, not from standard input");
    module = readPlan(context, inputFile.getValue());
  } else {
    module = parse(context, sources, text);
    if (!(*module)->hasAttr(nano::NanoDialect::modelAttr))
      refuse(Exit::Input,
             inputFile + " holds no model: the module attribute 'nano.model' is missing; nanocc-import writes it");
    if (std::optional<OptionError> error = resolveOptions(*module, flags))
      refuse(static_cast<Exit>(error->exitCode), error->message);
  }

  checkFiles(*module);
  compile(*module, emit == "fb" ? Stage::Plan : *parseStage(emit), timing);
  rebasePaths(*module, folderOf(inputFile), folderOf(outputFile.empty() ? inputFile : outputFile));
  std::optional<std::string> output, summary;
  if (emit == "fb" || report.getNumOccurrences()) {
    FailureOr<std::vector<uint8_t>> bytes = writePlan(*module);
    if (failed(bytes))
      refuse(Exit::Input, inputFile + " does not give a plan; the lines above say where and why");
    if (report.getNumOccurrences())
      summary = reportOf(*nanort::schema::GetPlan(bytes->data()));
    if (!outputFile.empty() && emit == "fb")
      output.emplace(bytes->begin(), bytes->end());
  }
  if (!outputFile.empty() && emit != "fb") {
    llvm::raw_string_ostream stream(output.emplace());
    // With locations: a launch is linked to its line of model.mlir also after a resume.
    (*module)->print(stream, OpPrintingFlags().enableDebugInfo(true, false));
    stream << '\n';
  }
  write(output, summary);
}

} // namespace

/// LLVM ends a process whose standard output could not be written, as late as in a destructor, by "LLVM ERROR".
static void fatalError(void *, const char *reason, bool) {
  if (!llvm::outs().has_error())
    return; // not that
  static constexpr std::string_view message = "nanocc: standard output cannot be written\n";
  (void)::write(STDERR_FILENO, message.data(), message.size());
  ::_exit(static_cast<int>(Exit::Input));
}

int main(int argc, char **argv) {
  nanort::prepareProcess("nanocc");
  llvm::InitLLVM init(argc, argv);
  llvm::install_fatal_error_handler(fatalError);
  registerPassManagerCLOptions();
  registerMLIRContextCLOptions();
  registerAsmPrinterCLOptions();
  registerDefaultTimingManagerCLOptions();
  cl::HideUnrelatedOptions({&category, &inspectionCategory});
  cl::SetVersionPrinter([](llvm::raw_ostream &stream) { stream << producer() << ", LLVM " LLVM_VERSION_STRING "\n"; });
  std::string complaint;
  llvm::raw_string_ostream complaints(complaint);
  if (!cl::ParseCommandLineOptions(argc, argv,
                                   "compiles a nanochat model to a plan\n\n"
                                   "  nanocc model.mlir -o plan.fb\n"
                                   "  nanocc model.mlir --target cpu,sm_90a --batch 1,8 -o plan.fb --report text\n"
                                   "  nanocc model.mlir --emit kern -o -\n",
                                   &complaints)) {
    if (!StringRef(complaint).trim().empty()) // else an option's parser has said it
      llvm::errs() << "nanocc: " << StringRef(complaint).trim() << "\n";
    return static_cast<int>(Exit::Usage);
  }
  DefaultTimingManager timingManager;
  applyDefaultTimingManagerCLOptions(timingManager);
  TimingScope timing = timingManager.getRootScope();
  try {
    nanoccMain(timing);
  } catch (const nanort::Error &error) {
    llvm::errs() << "nanocc: " << error.what() << "\n";
    return static_cast<int>(error.code);
  } catch (const std::exception &error) {
    llvm::errs() << "nanocc: internal error: " << error.what() << "; please report it with the command line\n";
    return static_cast<int>(Exit::Internal);
  }
  printStatistics();
  return 0;
}
