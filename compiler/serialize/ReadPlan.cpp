// plan.fb to `plan` IR.
#include "compiler/serialize/PlanFile.h"
#include "kernels_templates/base/catalogue.h"

#include "dialects/ElementTypes.h"
#include "dialects/nano/Nano.h"
#include "dialects/plan/Plan.h"
#include "runtime/plan/machine_code.h"

#include "mlir/IR/AsmState.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace nanocc;
namespace fb = nanort::schema;

namespace {

class Reader {
public:
  Reader(MLIRContext &context, const nanort::Plan &file) : file(file), root(file.root()), builder(&context) {}

  OwningOpRef<ModuleOp> run() {
    OwningOpRef<ModuleOp> module = ModuleOp::create(builder.getUnknownLoc());
    facts(*module);
    builder.setInsertionPointToEnd(module->getBody());
    for (const fb::Parameter *parameter : *root.parameters()) {
      SmallVector<int64_t> shape(parameter->shape()->begin(), parameter->shape()->end());
      plan::ParameterOp::create(builder, builder.getUnknownLoc(), parameter->name()->str(), shape,
                                parameter->name()->str());
    }
    for (const fb::Source *source : *root.sources())
      plan::SourceOp::create(builder, builder.getUnknownLoc(), source->path()->str(), source->text()->str());
    for (uint32_t i = 0; i < root.programs()->size(); ++i)
      read(*root.programs()->Get(i), nanort::MachineCode(file, i));
    return module;
  }

private:
  IntegerAttr number(int64_t value) { return builder.getI64IntegerAttr(value); }
  FlatSymbolRefAttr symbol(StringRef name) { return FlatSymbolRefAttr::get(builder.getContext(), name); }

  void facts(ModuleOp module) {
    const fb::Model &model = *root.model();
    auto fact = [&](StringRef key, int64_t value) { return builder.getNamedAttr(key, number(value)); };
    module->setAttr(
        nano::NanoDialect::modelAttr,
        builder.getDictionaryAttr({builder.getNamedAttr("name", builder.getStringAttr(model.name()->str())),
                                   fact("layers", model.layers()), fact("width", model.width()),
                                   fact("heads", model.heads()), fact("kv_heads", model.kv_heads()),
                                   fact("head_dim", model.head_dim()), fact("vocab", model.vocab()),
                                   fact("sequence_len", model.sequence_len()), fact("max_seq", model.max_seq())}));
    module->setAttr(nano::NanoDialect::weightsAttr, builder.getStringAttr(root.weights()->str()));
    if (root.tokenizer())
      module->setAttr(nano::NanoDialect::tokenizerAttr, builder.getStringAttr(root.tokenizer()->str()));
    module->setAttr(nano::NanoDialect::stageAttr, builder.getStringAttr("plan"));
  }

  void read(const fb::Program &source, const nanort::MachineCode &code) {
    Location loc = builder.getUnknownLoc();
    const fb::Memory &memory = *source.memory();
    auto bytes = [&](StringRef name, uint64_t value) { return builder.getNamedAttr(name, number(value)); };
    SmallVector<NamedAttribute> spaces = {bytes("constants", memory.constants()), bytes("kv", memory.kv()),
                                          bytes("state", memory.state()), bytes("arena", memory.arena()),
                                          bytes("workspace", memory.workspace())};
    if (memory.mapped())
      spaces.push_back(bytes("mapped", memory.mapped()));
    auto program = plan::ProgramOp::create(builder, loc, source.target()->str(), source.precision()->str(),
                                           source.min_driver(), builder.getDictionaryAttr(spaces));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(&program.getBody().emplaceBlock());
    for (const fb::Buffer *buffer : *source.buffers()) {
      SmallVector<int64_t> shape(buffer->shape()->begin(), buffer->shape()->end());
      auto type =
          RankedTensorType::get(shape, typeOf(static_cast<kernels::DType>(buffer->dtype()), builder.getContext()));
      bool lives = buffer->space() == fb::Space::Arena;
      plan::BufferOp::create(
          builder, loc, buffer->name()->str(), static_cast<plan::Space>(buffer->space()), type,
          number(buffer->offset()),
          lives ? symbol(source.entries()->Get(buffer->entry())->name()->str()) : FlatSymbolRefAttr(),
          lives ? number(buffer->first()) : IntegerAttr(), lives ? number(buffer->last()) : IntegerAttr());
    }
    for (const fb::Constant *constant : *source.constants())
      read(source, *constant);
    for (const fb::Ring *ring : *source.rings()) {
      SmallVector<Attribute> parts;
      for (uint32_t part : *ring->parts())
        parts.push_back(bufferName(source, part));
      plan::RingOp::create(builder, loc, ring->name()->str(), builder.getArrayAttr(parts));
    }
    for (const fb::Kernel *kernel : *source.kernels())
      read(source, *kernel, code.of(*kernel));
    for (const fb::Entry *entry : *source.entries())
      read(source, *entry);
  }

  void read(const fb::Program &program, const fb::Constant &constant) {
    SmallVector<Attribute> sources, parts, steps;
    SmallVector<int64_t> tensors;
    for (uint32_t source : *constant.sources())
      sources.push_back(symbol(root.parameters()->Get(source)->name()->str()));
    for (const fb::Part *part : *constant.parts()) {
      parts.push_back(bufferName(program, part->buffer()));
      tensors.push_back(part->tensor());
    }
    for (flatbuffers::uoffset_t i = 0; i < constant.steps()->size(); ++i)
      steps.push_back(step(constant.steps_type()->GetEnum<fb::Step>(i), constant.steps()->Get(i)));
    plan::ConstantOp::create(builder, builder.getUnknownLoc(), builder.getArrayAttr(parts),
                             builder.getDenseI64ArrayAttr(tensors), builder.getArrayAttr(sources),
                             builder.getArrayAttr(steps));
  }

  Attribute step(fb::Step kind, const void *table) {
    MLIRContext *context = builder.getContext();
    auto list = [](const auto *values) {
      return values ? SmallVector<int64_t>(values->begin(), values->end()) : SmallVector<int64_t>();
    };
    switch (kind) {
    case fb::Step::RopeStep: {
      const auto &s = *static_cast<const fb::RopeStep *>(table);
      return plan::RopeStepAttr::get(context, builder.getF64FloatAttr(s.base()), s.positions(), s.head_dim());
    }
    case fb::Step::CastStep: {
      const auto &s = *static_cast<const fb::CastStep *>(table);
      return plan::CastStepAttr::get(context, s.tensor(), typeOf(static_cast<kernels::DType>(s.dtype()), context));
    }
    case fb::Step::ConcatenateStep: {
      const auto &s = *static_cast<const fb::ConcatenateStep *>(table);
      return plan::ConcatenateStepAttr::get(context, list(s.tensors()), s.axis());
    }
    case fb::Step::SliceStep: {
      const auto &s = *static_cast<const fb::SliceStep *>(table);
      return plan::SliceStepAttr::get(context, s.tensor(), s.axis(), s.begin(), s.end());
    }
    case fb::Step::QuantizeStep: {
      const auto &s = *static_cast<const fb::QuantizeStep *>(table);
      return plan::QuantizeStepAttr::get(context, s.tensor(), static_cast<plan::Format>(s.format()), s.axis(),
                                         s.group());
    }
    case fb::Step::PermuteStep: {
      const auto &s = *static_cast<const fb::PermuteStep *>(table);
      return plan::PermuteStepAttr::get(context, s.tensor(), list(s.view()), list(s.order()));
    }
    case fb::Step::PadStep: {
      const auto &s = *static_cast<const fb::PadStep *>(table);
      return plan::PadStepAttr::get(context, s.tensor(), s.axis(), s.before(), s.after());
    }
    case fb::Step::NONE:
      break;
    }
    llvm_unreachable("a verified plan has steps of known kinds");
  }

  void read(const fb::Program &program, const fb::Kernel &kernel, ArrayRef<char> code) {
    SmallVector<NamedAttribute> params;
    // The plan was verified: there is such a kernel.
    const kernels::Kernel &known = *kernels::catalogue().kernel(kernel.meaning()->string_view(),
                                                                kernel.engine() ? kernel.engine()->string_view() : "");
    for (const fb::Param *param : *kernel.params()) {
      bool isType = llvm::any_of(known.params, [&](const kernels::Param &decl) {
        return decl.isType && decl.name == param->name()->string_view();
      });
      Attribute value = number(param->value());
      if (isType)
        value = TypeAttr::get(typeOf(static_cast<kernels::DType>(param->value()), builder.getContext()));
      params.push_back(builder.getNamedAttr(param->name()->str(), value));
    }
    ElementsAttr cubin;
    if (!code.empty()) {
      auto type = RankedTensorType::get({static_cast<int64_t>(code.size())},
                                        IntegerType::get(builder.getContext(), 8, IntegerType::Unsigned));
      cubin =
          cast<ElementsAttr>(DenseResourceElementsAttr::get(type, program.target()->str() + "." + kernel.name()->str(),
                                                            HeapAsmResourceBlob::allocateAndCopyInferAlign(code)));
    }
    SmallVector<Attribute> includes;
    if (kernel.includes())
      for (uint32_t index : *kernel.includes())
        includes.push_back(builder.getStringAttr(root.sources()->Get(index)->path()->str()));
    plan::KernelOp::create(builder, builder.getUnknownLoc(), kernel.name()->str(), kernel.meaning()->str(),
                           kernel.engine() ? builder.getStringAttr(kernel.engine()->str()) : StringAttr(),
                           builder.getDictionaryAttr(params),
                           includes.empty() ? ArrayAttr() : builder.getArrayAttr(includes),
                           kernel.source() ? builder.getStringAttr(kernel.source()->str()) : StringAttr(), cubin);
  }

  void read(const fb::Program &program, const fb::Entry &source) {
    auto bindings = [&](const flatbuffers::Vector<flatbuffers::Offset<fb::Binding>> &list) {
      SmallVector<NamedAttribute> result;
      for (const fb::Binding *binding : list)
        result.push_back(builder.getNamedAttr(binding->name()->str(), bufferName(program, binding->buffer())));
      return builder.getDictionaryAttr(result);
    };
    DictionaryAttr eager;
    if (const fb::Counts *counts = source.eager())
      eager = builder.getDictionaryAttr({builder.getNamedAttr("launches", number(counts->launches())),
                                         builder.getNamedAttr("bytes", number(counts->bytes())),
                                         builder.getNamedAttr("flops", number(counts->flops()))});
    auto entry = plan::EntryOp::create(builder, builder.getUnknownLoc(), source.name()->str(),
                                       static_cast<plan::EntryKind>(source.kind()), source.tokens(), source.rows(),
                                       bindings(*source.inputs()), bindings(*source.outputs()), eager);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToEnd(&entry.getBody().emplaceBlock());
    for (const fb::Node *node : *source.nodes())
      read(program, *node);
    if (!source.loops())
      return;
    for (const fb::Loop *loop : *source.loops()) {
      builder.setInsertionPointToEnd(&entry.getBody().front());
      auto repeated = symbol(program.entries()->Get(loop->entry())->name()->str());
      auto made = plan::WhileOp::create(builder, builder.getUnknownLoc(), repeated, bufferName(program, loop->go()),
                                        number(loop->word()));
      builder.setInsertionPointToEnd(&made.getBody().emplaceBlock());
      for (const fb::Node *node : *loop->nodes())
        read(program, *node);
    }
  }

  void read(const fb::Program &program, const fb::Node &node) {
    SmallVector<Attribute> args;
    for (const fb::Arg *arg : nanort::argumentsOf(node))
      args.push_back(arg->kind() == fb::ArgKind::Buffer ? Attribute(bufferName(program, arg->buffer()))
                     : arg->kind() == fb::ArgKind::I32  ? Attribute(builder.getI32IntegerAttr(arg->i32()))
                     : arg->kind() == fb::ArgKind::F32
                         ? Attribute(builder.getF32FloatAttr(arg->f32()))
                         : Attribute(plan::ConditionAttr::get(builder.getContext(), arg->loop())));
    SmallVector<int32_t> after, programmatic;
    for (const fb::Edge *edge : *node.edges()) {
      after.push_back(edge->from());
      if (edge->kind() == fb::EdgeKind::Programmatic)
        programmatic.push_back(edge->from());
    }
    FlatSymbolRefAttr kernel = symbol(program.kernels()->Get(nanort::kernelIndexOf(node))->name()->str());
    Location loc = location(node);
    if (const fb::Library *library = node.work_as_Library()) {
      plan::GemmOp::create(builder, loc, kernel, builder.getArrayAttr(args), number(node.bytes()), number(node.flops()),
                           builder.getDenseI32ArrayAttr(after),
                           library->version() ? builder.getStringAttr(library->version()->str()) : StringAttr(),
                           library->version() ? number(library->algorithm()) : IntegerAttr(), considered(node));
      return;
    }
    const fb::Launch &launch = *node.work_as_Launch();
    auto extents = [&](const flatbuffers::Vector<uint32_t> &values) {
      return builder.getDenseI32ArrayAttr(SmallVector<int32_t>(values.begin(), values.end()));
    };
    plan::LaunchOp::create(builder, loc, kernel, builder.getArrayAttr(args), extents(*launch.grid()),
                           extents(*launch.block()), number(launch.shared_bytes()), number(node.bytes()),
                           number(node.flops()), builder.getDenseI32ArrayAttr(after),
                           programmatic.empty() ? DenseI32ArrayAttr() : builder.getDenseI32ArrayAttr(programmatic),
                           maps(launch), considered(node));
  }

  ArrayAttr considered(const fb::Node &node) {
    if (!node.considered())
      return {};
    SmallVector<StringRef> lines;
    for (const flatbuffers::String *line : *node.considered())
      lines.push_back(line->c_str());
    return builder.getStrArrayAttr(lines);
  }

  ArrayAttr maps(const fb::Launch &launch) {
    if (!launch.maps())
      return {};
    SmallVector<Attribute> made;
    auto list = [](const auto &values) { return SmallVector<int64_t>(values->begin(), values->end()); };
    for (const fb::TensorMap *map : *launch.maps())
      made.push_back(plan::TensorMapAttr::get(builder.getContext(), map->arg(), list(map->extents()),
                                              list(map->strides()), list(map->box()), map->swizzle()));
    return builder.getArrayAttr(made);
  }

  FlatSymbolRefAttr bufferName(const fb::Program &program, uint32_t index) {
    return symbol(program.buffers()->Get(index)->name()->str());
  }

  /// "model.mlir:12"
  Location location(const fb::Node &node) {
    if (!node.location())
      return builder.getUnknownLoc();
    auto [file, line] = StringRef(node.location()->c_str()).rsplit(':');
    unsigned number = 0;
    if (line.getAsInteger(10, number))
      return builder.getUnknownLoc();
    return FileLineColLoc::get(builder.getContext(), file, number, 1);
  }

  const nanort::Plan &file;
  const fb::Plan &root;
  OpBuilder builder;
};

} // namespace

OwningOpRef<ModuleOp> nanocc::readPlan(MLIRContext &context, const std::filesystem::path &path) {
  std::shared_ptr<const nanort::Plan> file = nanort::Plan::open(path);
  return Reader(context, *file).run();
}
