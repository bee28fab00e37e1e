// `plan` IR to plan.fb.
#include "compiler/analysis/Conflicts.h"
#include "compiler/analysis/KernelLaunch.h"
#include "compiler/analysis/Location.h"
#include "compiler/options/Options.h"
#include "compiler/serialize/PlanFile.h"

#include "codegen/Description.h"
#include "dialects/nano/Nano.h"
#include "dialects/plan/Plan.h"
#include "runtime/base/version.h"
#include "runtime/plan/machine_code.h"
#include "runtime/report/report.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace nanocc;
namespace fb = nanort::schema;
using flatbuffers::Offset;

std::string nanocc::producer() { return "nanocc " + nanort::versionText(); }

namespace {

class Writer {
public:
  explicit Writer(ModuleOp module) : module(module) {}

  FailureOr<std::vector<uint8_t>> run() {
    if (!module->hasAttr(nano::NanoDialect::modelAttr) || !module->hasAttr(nano::NanoDialect::weightsAttr))
      return module.emitError("a plan needs the module attributes 'nano.model' and 'nano.weights'");
    std::vector<Offset<fb::Parameter>> parameters;
    for (plan::ParameterOp parameter : module.getOps<plan::ParameterOp>()) {
      parameterIndex[parameter.getSymName()] = parameters.size();
      std::vector<uint64_t> shape(parameter.getShape().begin(), parameter.getShape().end());
      parameters.push_back(fb::CreateParameter(builder, text(parameter.getTensor()), builder.CreateVector(shape)));
    }
    std::vector<Offset<fb::Source>> sources;
    for (plan::SourceOp source : module.getOps<plan::SourceOp>()) {
      sourceIndex[source.getSymName()] = sources.size();
      sources.push_back(fb::CreateSource(builder, text(source.getSymName()), text(source.getText())));
    }
    std::vector<Offset<fb::Program>> programs;
    for (plan::ProgramOp program : module.getOps<plan::ProgramOp>()) {
      FailureOr<Offset<fb::Program>> written = write(program);
      if (failed(written))
        return failure();
      programs.push_back(*written);
    }
    if (programs.empty())
      return module.emitError("holds no plan.program: compile it to the plan stage first");

    std::vector<uint8_t> hash(nanort::schemaHash().begin(), nanort::schemaHash().end()), zero(32);
    auto digest = builder.CreateVector(zero);
    auto attribute = [&](StringRef name) { return module->getAttrOfType<StringAttr>(name); };
    auto tokenizer = attribute(nano::NanoDialect::tokenizerAttr);
    auto schemaHash = builder.CreateVector(hash);
    auto maker = text(producer()), weights = text(attribute(nano::NanoDialect::weightsAttr).getValue());
    auto facts = model();
    Offset<flatbuffers::String> tokenizerPath = tokenizer ? text(tokenizer.getValue()) : 0;
    auto parameterList = builder.CreateVector(parameters);
    auto programList = builder.CreateVector(programs);
    auto sourceList = builder.CreateVector(sources);
    auto root = [&](Offset<flatbuffers::String> report) {
      return fb::CreatePlan(builder, nanort::planFormatVersion, schemaHash, digest, maker, facts, weights,
                            tokenizerPath, parameterList, programList, sourceList, report);
    };
    // The plan holds the report that is made of it: a root without one comes first, and stays in the file as some bytes
    // that nothing refers to. An emitted stage can be edited to anything: what the runtime would refuse is not written.
    auto draft = root(text(""));
    auto plan = nanort::Plan::built(*flatbuffers::GetTemporaryPointer(builder, draft), "the plan");
    fb::FinishPlanBuffer(builder, root(text(nanort::report::json(*plan))));
    std::vector<uint8_t> bytes(builder.GetBufferPointer(), builder.GetBufferPointer() + builder.GetSize());
    nanort::sealPlan(bytes);
    return bytes;
  }

private:
  Offset<flatbuffers::String> text(StringRef value) { return builder.CreateString(value.data(), value.size()); }

  Offset<fb::Model> model() {
    auto facts = module->getAttrOfType<DictionaryAttr>(nano::NanoDialect::modelAttr);
    auto fact = [&](StringRef key) { return static_cast<uint32_t>(modelFact(module, key)); };
    int64_t maxSeq = modelFact(module, "max_seq");
    return fb::CreateModel(builder, text(facts.getAs<StringAttr>("name").getValue()), fact("layers"), fact("width"),
                           fact("heads"), fact("kv_heads"), fact("head_dim"), fact("vocab"), fact("sequence_len"),
                           maxSeq);
  }

  FailureOr<Offset<fb::Program>> write(plan::ProgramOp program) {
    if (!program.getMemory())
      return program.emitOpError("is not placed: run plan-place-memory first");
    kernelIndex.clear();
    bufferIndex.clear();
    llvm::StringMap<int32_t> entryIndex;
    for (plan::EntryOp entry : program.getOps<plan::EntryOp>())
      entryIndex.try_emplace(entry.getSymName(), entryIndex.size());

    std::vector<Offset<fb::Buffer>> buffers;
    for (plan::BufferOp buffer : program.getOps<plan::BufferOp>()) {
      if (!buffer.getOffset())
        return buffer.emitOpError("is not placed: run plan-place-memory first");
      if (buffer.getEntry() && !entryIndex.count(*buffer.getEntry()))
        return buffer.emitOpError() << "lives in @" << *buffer.getEntry() << ", which is not an entry of this program";
      bufferIndex[buffer.getSymName()] = buffers.size();
      auto type = cast<RankedTensorType>(buffer.getType());
      std::optional<kernels::DType> dtype = dtypeOf(type.getElementType());
      if (!dtype)
        return buffer.emitOpError() << "has element type " << type.getElementType() << ", which plan.fb does not know";
      std::vector<uint64_t> shape(type.getShape().begin(), type.getShape().end());
      buffers.push_back(fb::CreateBuffer(builder, text(buffer.getSymName()), static_cast<fb::Space>(buffer.getSpace()),
                                         static_cast<fb::DType>(*dtype), builder.CreateVector(shape),
                                         *buffer.getOffset(), buffer.getBytes(),
                                         buffer.getEntry() ? entryIndex.lookup(*buffer.getEntry()) : -1,
                                         buffer.getFirst().value_or(0), buffer.getLast().value_or(0)));
    }
    std::vector<Offset<fb::Constant>> constants;
    for (plan::ConstantOp constant : program.getOps<plan::ConstantOp>())
      constants.push_back(write(constant));
    std::vector<Offset<fb::Ring>> rings;
    for (plan::RingOp ring : program.getOps<plan::RingOp>()) {
      std::vector<uint32_t> parts;
      for (auto part : ring.getParts().getAsRange<FlatSymbolRefAttr>())
        parts.push_back(bufferIndex.lookup(part.getValue()));
      rings.push_back(fb::CreateRing(builder, text(ring.getRing()), builder.CreateVector(parts)));
    }
    std::vector<Offset<fb::Kernel>> kernels;
    code.clear();
    for (plan::KernelOp kernel : program.getOps<plan::KernelOp>()) {
      kernelIndex[kernel.getSymName()] = kernels.size();
      FailureOr<Offset<fb::Kernel>> written = write(kernel);
      if (failed(written))
        return failure();
      kernels.push_back(*written);
    }
    const Offset<flatbuffers::Vector<uint8_t>> packed = code.empty() ? 0 : builder.CreateVector(nanort::packCode(code));
    std::vector<Offset<fb::Entry>> entries;
    for (plan::EntryOp entry : program.getOps<plan::EntryOp>())
      entries.push_back(write(entry, entryIndex));
    auto bytes = [&](StringRef space) {
      auto value = program.getMemory()->getAs<IntegerAttr>(space);
      return value ? value.getInt() : 0;
    };
    auto memory = fb::CreateMemory(builder, bytes("constants"), bytes("kv"), bytes("state"), bytes("arena"),
                                   bytes("workspace"), bytes("mapped"));
    return fb::CreateProgram(builder, text(program.getSymName()), text(program.getPrecision()), program.getMinDriver(),
                             /*ranks=*/1, builder.CreateVector(buffers), builder.CreateVector(constants),
                             builder.CreateVector(rings), builder.CreateVector(kernels), packed,
                             builder.CreateVector(entries), memory);
  }

  Offset<fb::Constant> write(plan::ConstantOp constant) {
    std::vector<uint32_t> sources;
    for (auto source : constant.getSources().getAsRange<FlatSymbolRefAttr>())
      sources.push_back(parameterIndex.lookup(source.getValue()));
    std::vector<fb::Step> types;
    std::vector<Offset<void>> steps;
    for (Attribute attribute : constant.getSteps()) {
      auto add = [&]<typename T>(Offset<T> step) {
        const fb::Step kind =
            fb::StepTraits<T>::enum_value; // a constant without a place, which push_back would refer to
        types.push_back(kind);
        steps.push_back(step.Union());
      };
      TypeSwitch<Attribute>(attribute)
          .Case([&](plan::RopeStepAttr s) {
            add(fb::CreateRopeStep(builder, s.getBase().getValueAsDouble(), s.getPositions(), s.getHeadSize()));
          })
          .Case([&](plan::CastStepAttr s) {
            add(fb::CreateCastStep(builder, s.getTensor(), static_cast<fb::DType>(*dtypeOf(s.getType()))));
          })
          .Case([&](plan::ConcatenateStepAttr s) {
            add(fb::CreateConcatenateStep(builder, list<uint32_t>(s.getTensors()), s.getAxis()));
          })
          .Case([&](plan::SliceStepAttr s) {
            add(fb::CreateSliceStep(builder, s.getTensor(), s.getAxis(), s.getBegin(), s.getEnd()));
          })
          .Case([&](plan::QuantizeStepAttr s) {
            add(fb::CreateQuantizeStep(builder, s.getTensor(), static_cast<fb::Format>(s.getFormat()), s.getAxis(),
                                       s.getGroup()));
          })
          .Case([&](plan::PermuteStepAttr s) {
            add(fb::CreatePermuteStep(builder, s.getTensor(),
                                      s.getView().empty() ? Offset<flatbuffers::Vector<uint64_t>>()
                                                          : list<uint64_t>(s.getView()),
                                      list<uint32_t>(s.getOrder())));
          })
          .Case([&](plan::PadStepAttr s) {
            add(fb::CreatePadStep(builder, s.getTensor(), s.getAxis(), s.getBefore(), s.getAfter()));
          });
    }
    std::vector<Offset<fb::Part>> parts;
    for (auto [part, tensor] : llvm::zip(constant.getParts().getAsRange<FlatSymbolRefAttr>(), constant.getTensors()))
      parts.push_back(fb::CreatePart(builder, bufferIndex.lookup(part.getValue()), tensor));
    auto typeVector = builder.CreateVector(types);
    auto stepVector = builder.CreateVector(steps);
    return fb::CreateConstant(builder, builder.CreateVector(sources), typeVector, stepVector,
                              builder.CreateVector(parts));
  }

  template <typename T> Offset<flatbuffers::Vector<T>> list(ArrayRef<int64_t> values) {
    return builder.CreateVector(std::vector<T>(values.begin(), values.end()));
  }

  FailureOr<Offset<fb::Kernel>> write(plan::KernelOp kernel) {
    kernels::Values values;
    const kernels::Kernel *known = kernelOf(kernel, values);
    if (!known)
      return kernel.emitOpError() << "is no kernel of this build: no engine '" << kernel.getEngine().value_or("")
                                  << "' computes '" << kernel.getMeaning() << "' by these parameters";
    std::vector<Offset<fb::Param>> params;
    for (const kernels::Param &param : known->params)
      params.push_back(fb::CreateParam(builder, text(param.name), values[param.name]));
    std::vector<uint32_t> includes;
    for (auto path : kernel.getIncludes() ? kernel.getIncludesAttr().getAsRange<StringAttr>()
                                          : ArrayAttr::get(kernel.getContext(), {}).getAsRange<StringAttr>()) {
      auto source = sourceIndex.find(path.getValue());
      if (source == sourceIndex.end())
        return kernel.emitOpError() << "includes " << path << ", which is no plan.source of the module";
      includes.push_back(source->second);
    }
    const nanort::Sha256 hash = codegen::descriptionHash(*known);
    auto description = builder.CreateVector(hash.data(), hash.size());
    Offset<flatbuffers::String> source = kernel.getSource() ? text(*kernel.getSource()) : 0;
    std::optional<fb::CodeRange> range;
    if (auto blob = dyn_cast_or_null<DenseResourceElementsAttr>(kernel.getCubinAttr())) {
      if (!blob.getRawHandle().getBlob())
        return kernel.emitOpError("has lost its machine code: the resource of 'cubin' is not in the file");
      ArrayRef<char> data = blob.getData();
      range.emplace(code.size(), data.size());
      code.insert(code.end(), data.begin(), data.end());
    }
    return fb::CreateKernel(builder, text(kernel.getSymName()), text(kernel.getMeaning()),
                            kernel.getEngine() ? text(*kernel.getEngine()) : 0, builder.CreateVector(params),
                            description, includes.empty() ? 0 : builder.CreateVector(includes), source,
                            range ? &*range : nullptr);
  }

  Offset<fb::Entry> write(plan::EntryOp entry, const llvm::StringMap<int32_t> &entryIndex) {
    auto bindings = [&](DictionaryAttr dictionary) {
      std::vector<Offset<fb::Binding>> result;
      for (NamedAttribute binding : dictionary)
        result.push_back(fb::CreateBinding(builder, text(binding.getName().strref()),
                                           bufferIndex.lookup(cast<FlatSymbolRefAttr>(binding.getValue()).getValue())));
      return builder.CreateVector(result);
    };
    auto inputs = bindings(entry.getInputs()), outputs = bindings(entry.getOutputs());
    std::vector<Offset<fb::Node>> nodes;
    for (Operation *node : nodesOf(entry))
      nodes.push_back(write(node));
    std::vector<Offset<fb::Loop>> loops;
    for (plan::WhileOp loop : entry.getBody().getOps<plan::WhileOp>()) {
      std::vector<Offset<fb::Node>> own;
      for (Operation &node : loop.getBody().front())
        own.push_back(write(&node));
      loops.push_back(fb::CreateLoop(builder, entryIndex.lookup(loop.getEntry()), bufferIndex.lookup(loop.getGo()),
                                     loop.getWord(), builder.CreateVector(own)));
    }
    Offset<fb::Counts> eager;
    if (std::optional<DictionaryAttr> counts = entry.getEager()) {
      auto count = [&](StringRef name) { return counts->getAs<IntegerAttr>(name).getInt(); };
      eager = fb::CreateCounts(builder, count("launches"), count("bytes"), count("flops"));
    }
    return fb::CreateEntry(builder, text(entry.getSymName()), static_cast<fb::EntryKind>(entry.getKind()),
                           entry.getTokens(), entry.getRows(), inputs, outputs, builder.CreateVector(nodes),
                           loops.empty() ? 0 : builder.CreateVector(loops), eager);
  }

  Offset<fb::Node> write(Operation *node) {
    std::vector<Offset<fb::Arg>> args;
    for (Attribute arg : node->getAttrOfType<ArrayAttr>("args")) {
      if (auto buffer = dyn_cast<FlatSymbolRefAttr>(arg))
        args.push_back(fb::CreateArg(builder, fb::ArgKind::Buffer, bufferIndex.lookup(buffer.getValue())));
      else if (auto condition = dyn_cast<plan::ConditionAttr>(arg))
        args.push_back(fb::CreateArg(builder, fb::ArgKind::Condition, 0, 0, 0, condition.getLoop()));
      else if (auto integer = dyn_cast<IntegerAttr>(arg))
        args.push_back(fb::CreateArg(builder, fb::ArgKind::I32, 0, static_cast<int32_t>(integer.getInt())));
      else
        args.push_back(
            fb::CreateArg(builder, fb::ArgKind::F32, 0, 0, cast<FloatAttr>(arg).getValue().convertToFloat()));
    }
    auto early = node->getAttrOfType<DenseI32ArrayAttr>("programmatic");
    std::vector<Offset<fb::Edge>> edges;
    if (auto after = node->getAttrOfType<DenseI32ArrayAttr>("after"))
      for (int32_t from : after.asArrayRef())
        edges.push_back(fb::CreateEdge(
            builder, from,
            early && llvm::is_contained(early.asArrayRef(), from) ? fb::EdgeKind::Programmatic : fb::EdgeKind::Full));
    std::vector<Offset<flatbuffers::String>> considered;
    if (auto lines = node->getAttrOfType<ArrayAttr>("considered"))
      for (auto line : lines.getAsRange<StringAttr>())
        considered.push_back(text(line.getValue()));
    const uint32_t kernel = kernelIndex.lookup(node->getAttrOfType<FlatSymbolRefAttr>("kernel").getValue());
    const auto launch = dyn_cast<plan::LaunchOp>(node);
    const Offset<void> work =
        launch ? write(launch, kernel, args).Union() : write(cast<plan::GemmOp>(node), kernel, args).Union();
    std::string location = locationText(node->getLoc());
    return fb::CreateNode(builder, launch ? fb::Work::Launch : fb::Work::Library, work, builder.CreateVector(edges),
                          node->getAttrOfType<IntegerAttr>("bytes").getInt(),
                          node->getAttrOfType<IntegerAttr>("flops").getInt(), location.empty() ? 0 : text(location),
                          considered.empty() ? 0 : builder.CreateVector(considered));
  }

  Offset<fb::Launch> write(plan::LaunchOp launch, uint32_t kernel, const std::vector<Offset<fb::Arg>> &args) {
    auto extents = [&](ArrayRef<int32_t> values) {
      return builder.CreateVector(std::vector<uint32_t>(values.begin(), values.end()));
    };
    auto argVector = builder.CreateVector(args);
    auto grid = extents(launch.getGrid()), block = extents(launch.getBlock());
    std::vector<Offset<fb::TensorMap>> maps;
    if (launch.getMaps())
      for (auto map : launch.getMaps()->getAsRange<plan::TensorMapAttr>())
        maps.push_back(fb::CreateTensorMap(builder, map.getArg(), list<uint64_t>(map.getExtents()),
                                           list<uint64_t>(map.getStrides()), list<uint32_t>(map.getBox()),
                                           map.getSwizzle()));
    return fb::CreateLaunch(builder, kernel, argVector, grid, block, launch.getShared(),
                            maps.empty() ? 0 : builder.CreateVector(maps));
  }

  Offset<fb::Library> write(plan::GemmOp gemm, uint32_t kernel, const std::vector<Offset<fb::Arg>> &args) {
    const bool measured = gemm.getVersion().has_value();
    auto argVector = builder.CreateVector(args);
    return fb::CreateLibrary(builder, kernel, argVector, measured ? text(*gemm.getVersion()) : 0,
                             measured ? static_cast<uint32_t>(*gemm.getAlgorithm()) : 0);
  }

  ModuleOp module;
  flatbuffers::FlatBufferBuilder builder{1 << 20};
  std::vector<char> code; // of the program being written
  llvm::StringMap<uint32_t> parameterIndex, sourceIndex, bufferIndex, kernelIndex;
};

} // namespace

FailureOr<std::vector<uint8_t>> nanocc::writePlan(ModuleOp module) {
  // FlatBuffers 2.0 asserts at its limit of 2 GiB, so the estimate comes first: cubins and sources are what grows.
  uint64_t estimate = 0;
  module.walk([&](plan::KernelOp kernel) {
    estimate += kernel.getSource().value_or("").size();
    if (auto blob = dyn_cast_or_null<DenseResourceElementsAttr>(kernel.getCubinAttr());
        blob && blob.getRawHandle().getBlob())
      estimate += blob.getData().size();
  });
  module.walk([&](Operation *) { estimate += 1024; });
  if (estimate >= (uint64_t(2) << 30))
    return module.emitError() << "the plan would be about " << estimate
                              << " bytes, a file holds less than 2 GiB: name fewer targets or buckets";
  return Writer(module).run();
}
