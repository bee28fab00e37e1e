// Defaults, checks and the attribute form of the compilation options.
#include "compiler/options/Options.h"

#include "dialects/nano/Nano.h"
#include "kernels_templates/base/target.h"
#include "runtime/plan/plan.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/StringExtras.h"

#include <algorithm>

using namespace mlir;
using namespace nanocc;

static constexpr int64_t largestBatch = 1024, largestMaxSeq = 1 << 20;

int64_t nanocc::modelFact(ModuleOp module, StringRef key) {
  auto facts = module->getAttrOfType<DictionaryAttr>(nano::NanoDialect::modelAttr);
  auto value = facts ? facts.getAs<IntegerAttr>(key) : IntegerAttr();
  return value ? value.getInt() : 0;
}

static Attribute toAttr(ModuleOp module, const Options &options) {
  Builder builder(module.getContext());
  SmallVector<StringRef> targets(options.targets.begin(), options.targets.end());
  SmallVector<NamedAttribute> list = {builder.getNamedAttr("targets", builder.getStrArrayAttr(targets)),
                                      builder.getNamedAttr("batches", builder.getDenseI64ArrayAttr(options.batches)),
                                      builder.getNamedAttr("prefill", builder.getDenseI64ArrayAttr(options.prefill)),
                                      builder.getNamedAttr("max_seq", builder.getI64IntegerAttr(options.maxSeq)),
                                      builder.getNamedAttr("precision", builder.getStringAttr(options.precision)),
                                      builder.getNamedAttr("fuse", builder.getStringAttr(options.fuse))};
  if (!options.templates.empty()) {
    SmallVector<StringRef> templates(options.templates.begin(), options.templates.end());
    list.push_back(builder.getNamedAttr("templates", builder.getStrArrayAttr(templates)));
  }
  if (!options.tuning.empty()) {
    SmallVector<NamedAttribute> byTarget;
    for (const auto &[target, times] : options.tuning) {
      SmallVector<NamedAttribute> entries;
      for (const auto &[key, us] : times)
        entries.push_back(builder.getNamedAttr(key, builder.getF64FloatAttr(us)));
      byTarget.push_back(builder.getNamedAttr(target, builder.getDictionaryAttr(entries)));
    }
    list.push_back(builder.getNamedAttr("tuning", builder.getDictionaryAttr(byTarget)));
  }
  return builder.getDictionaryAttr(list);
}

/// The optional parts of `nano.options`; false if one is malformed.
static bool readChoices(DictionaryAttr attribute, Options &options) {
  if (Attribute templates = attribute.get("templates")) {
    auto list = dyn_cast<ArrayAttr>(templates);
    for (Attribute text : list ? list.getValue() : ArrayRef<Attribute>())
      if (auto string = dyn_cast<StringAttr>(text))
        options.templates.push_back(string.str());
    if (!list || options.templates.size() != list.size())
      return false;
  }
  if (Attribute tuning = attribute.get("tuning")) {
    auto byTarget = dyn_cast<DictionaryAttr>(tuning);
    if (!byTarget)
      return false;
    for (NamedAttribute target : byTarget) {
      auto times = dyn_cast<DictionaryAttr>(target.getValue());
      if (!times)
        return false;
      for (NamedAttribute time : times) {
        auto us = dyn_cast<FloatAttr>(time.getValue());
        if (!us || !isTime(us.getValueAsDouble()))
          return false;
        options.tuning[target.getName().str()][time.getName().str()] = us.getValueAsDouble();
      }
    }
  }
  return true;
}

static constexpr StringRef fusions[] = {"attention", "embed", "norm", "activation", "residual"};

bool nanocc::fuses(StringRef fuse, StringRef fusion) {
  return fuse == "all" || llvm::is_contained(llvm::split(fuse, ','), fusion);
}

/// In the order of `fusions`, each once; all of them are "all".
static std::string canonical(StringRef fuse) {
  SmallVector<StringRef> given, known;
  fuse.split(given, ',');
  for (StringRef name : given)
    if (!llvm::is_contained(fusions, name))
      return fuse.str(); // refused later, as it was said
  for (StringRef name : fusions)
    if (llvm::is_contained(given, name))
      known.push_back(name);
  return known.size() == std::size(fusions) ? "all" : llvm::join(known, ",");
}

static std::optional<OptionError> check(const Options &options) {
  for (const std::string &target : options.targets)
    if (std::string reason = kernels::targetFault(target); !reason.empty())
      return OptionError{4, reason};
  for (size_t i = 0; i < options.targets.size(); ++i)
    if (std::count(options.targets.begin(), options.targets.end(), options.targets[i]) > 1)
      return OptionError{2, "--target names " + options.targets[i] + " twice"};
  if (!llvm::is_contained(nanort::precisions, options.precision)) {
    const std::string known = llvm::join(std::begin(nanort::precisions), std::end(nanort::precisions), ", ");
    if (options.precision == "fp8" || options.precision == "nvfp4")
      return OptionError{4,
                         "--precision " + options.precision + " has no kernels in this version; use one of " + known};
    return OptionError{2, "--precision " + options.precision + " is unknown; use auto or one of " + known};
  }
  if (options.fuse != "none" && options.fuse != "all")
    for (StringRef fusion : llvm::split(options.fuse, ','))
      if (!llvm::is_contained(fusions, fusion))
        return OptionError{2, "--fuse " + options.fuse + " is unknown; use none, all or some of " +
                                  llvm::join(ArrayRef(fusions), ",")};
  if (options.maxSeq < 2 || options.maxSeq > largestMaxSeq)
    return OptionError{2, "--max-seq " + std::to_string(options.maxSeq) + " must be from 2 to " +
                              std::to_string(largestMaxSeq)};
  for (int64_t batch : options.batches)
    if (batch < 1 || batch > largestBatch)
      return OptionError{2, "--batch " + std::to_string(batch) + " must be from 1 to " + std::to_string(largestBatch)};
  for (int64_t tokens : options.prefill)
    if (tokens < 1 || tokens > options.maxSeq * options.rows())
      return OptionError{2, "--prefill " + std::to_string(tokens) +
                                " must be from 1 to max-seq times the largest batch, " +
                                std::to_string(options.maxSeq * options.rows())};
  for (const std::string &text : options.templates)
    if (llvm::Error error = parseOverride(text).takeError())
      return OptionError{2, llvm::toString(std::move(error))};
  for (const auto &[target, times] : options.tuning)
    if (!llvm::is_contained(options.targets, target))
      return OptionError{2, "--tuning is for " + target + ", which --target does not name"};
  return std::nullopt;
}

FailureOr<Options> nanocc::getOptions(ModuleOp module) {
  auto attribute = module->getAttrOfType<DictionaryAttr>(nano::NanoDialect::optionsAttr);
  if (!attribute)
    return module.emitError("'nano.options' is missing: run nanocc, or set it by hand as an emitted stage shows it");
  auto targets = attribute.getAs<ArrayAttr>("targets");
  auto batches = attribute.getAs<DenseI64ArrayAttr>("batches"), prefill = attribute.getAs<DenseI64ArrayAttr>("prefill");
  auto maxSeq = attribute.getAs<IntegerAttr>("max_seq");
  auto precision = attribute.getAs<StringAttr>("precision"), fuse = attribute.getAs<StringAttr>("fuse");
  if (!targets || !batches || batches.empty() || !prefill || prefill.empty() || !maxSeq || !precision || !fuse)
    return module.emitError("'nano.options' needs targets, batches, prefill, max_seq, precision and fuse");
  Options options;
  for (Attribute target : targets) {
    auto name = dyn_cast<StringAttr>(target);
    if (!name || !kernels::targetFault(std::string_view(name.getValue())).empty())
      return module.emitError() << "'nano.options' names the unknown target " << target;
    options.targets.push_back(name.str());
  }
  options.batches.assign(batches.asArrayRef().begin(), batches.asArrayRef().end());
  options.prefill.assign(prefill.asArrayRef().begin(), prefill.asArrayRef().end());
  options.maxSeq = maxSeq.getInt();
  options.precision = precision.str();
  options.fuse = fuse.str();
  if (!readChoices(attribute, options))
    return module.emitError(
        "'nano.options': templates is a list of strings, tuning has a positive time for each kernel by target");
  if (options.targets.empty() || !llvm::is_sorted(options.batches) || !llvm::is_sorted(options.prefill))
    return module.emitError("'nano.options' needs a target, and batches and prefill in ascending order");
  if (std::optional<OptionError> error = check(options))
    return module.emitError() << "'nano.options': " << error->message;
  return options;
}

/// Powers of two from 128, ending in max_seq.
static std::vector<int64_t> defaultBuckets(int64_t maxSeq) {
  std::vector<int64_t> buckets;
  for (int64_t tokens = 128; tokens < maxSeq; tokens *= 2)
    buckets.push_back(tokens);
  buckets.push_back(maxSeq);
  return buckets;
}

static void sortUnique(std::vector<int64_t> &values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

static std::string joined(const std::vector<int64_t> &values) {
  return llvm::join(llvm::map_range(values, [](int64_t value) { return std::to_string(value); }), ",");
}

/// The first flag that contradicts options already decided.
static std::optional<OptionError> contradiction(const Options &fixed, const OptionFlags &flags) {
  auto differs = [](const char *flag, const std::string &said, const std::string &decided) {
    return OptionError{2, std::string(flag) + " " + said + " contradicts the input, which was emitted with " + decided +
                              "; leave the flag out or start again from model.mlir"};
  };
  if (flags.targets && *flags.targets != fixed.targets)
    return differs("--target", llvm::join(*flags.targets, ","), llvm::join(fixed.targets, ","));
  auto list = [&](const char *flag, std::optional<std::vector<int64_t>> said,
                  const std::vector<int64_t> &decided) -> std::optional<OptionError> {
    if (!said)
      return std::nullopt;
    sortUnique(*said);
    return *said == decided ? std::nullopt : std::optional(differs(flag, joined(*said), joined(decided)));
  };
  if (auto error = list("--batch", flags.batches, fixed.batches))
    return error;
  if (auto error = list("--prefill", flags.prefill, fixed.prefill))
    return error;
  if (flags.maxSeq && *flags.maxSeq != fixed.maxSeq)
    return differs("--max-seq", std::to_string(*flags.maxSeq), std::to_string(fixed.maxSeq));
  if (flags.precision && *flags.precision != "auto" && *flags.precision != fixed.precision)
    return differs("--precision", *flags.precision, fixed.precision);
  if (flags.fuse && canonical(*flags.fuse) != fixed.fuse)
    return differs("--fuse", *flags.fuse, fixed.fuse);
  if (flags.templates && *flags.templates != fixed.templates)
    return differs("--template", llvm::join(*flags.templates, " "),
                   fixed.templates.empty() ? "none" : llvm::join(fixed.templates, " "));
  if (flags.tuning && *flags.tuning != fixed.tuning)
    return differs("--tuning", "with other times", fixed.tuning.empty() ? "none" : "those in it");
  return std::nullopt;
}

std::optional<OptionError> nanocc::resolveOptions(ModuleOp module, const OptionFlags &flags) {
  if (module->hasAttr(nano::NanoDialect::optionsAttr)) {
    FailureOr<Options> fixed = getOptions(module);
    if (failed(fixed))
      return OptionError{3, "the input's 'nano.options' is malformed; start again from model.mlir"};
    return contradiction(*fixed, flags);
  }
  Options options;
  options.targets = flags.targets.value_or(std::vector<std::string>{"sm_90a"});
  options.batches = flags.batches.value_or(std::vector<int64_t>{1});
  sortUnique(options.batches);
  options.maxSeq = flags.maxSeq.value_or(modelFact(module, "sequence_len"));
  options.prefill = flags.prefill ? *flags.prefill : defaultBuckets(std::min(options.maxSeq, largestMaxSeq));
  sortUnique(options.prefill);
  bool cpuOnly = options.targets == std::vector<std::string>{"cpu"};
  options.precision = flags.precision.value_or("auto");
  if (options.precision == "auto")
    options.precision = cpuOnly ? "f32" : "bf16";
  options.fuse = canonical(flags.fuse.value_or("all"));
  options.templates = flags.templates.value_or(std::vector<std::string>());
  options.tuning = flags.tuning.value_or(Tuning());
  if (auto error = check(options))
    return error;
  module->setAttr(nano::NanoDialect::optionsAttr, toAttr(module, options));
  return std::nullopt;
}
