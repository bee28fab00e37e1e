#include "compiler/analysis/Launches.h"

#include "codegen/Choices.h"
#include "codegen/Registry.h"
#include "compiler/analysis/Conflicts.h"
#include "compiler/analysis/Family.h"

#include <filesystem>

using namespace mlir;
using namespace nanocc;

std::string nanocc::locationText(Location location) {
  std::string text;
  location->walk([&](Location part) {
    auto file = dyn_cast<FileLineColLoc>(part);
    if (!file)
      return WalkResult::advance();
    text = std::filesystem::path(file.getFilename().str()).filename().string() + ":" + std::to_string(file.getLine());
    return WalkResult::interrupt();
  });
  return text;
}

/// The parameters of a declared kernel as its family knows them.
static kernels::Params paramsOf(plan::KernelOp kernel) {
  kernels::Params params;
  for (NamedAttribute param : kernel.getParams()) {
    auto type = dyn_cast<TypeAttr>(param.getValue());
    std::optional<kernels::DType> dtype = type ? dtypeOf(type.getValue()) : std::nullopt;
    auto integer = dyn_cast<IntegerAttr>(param.getValue());
    if (dtype || integer)
      params.values.emplace_back(param.getName().str(), dtype ? static_cast<int64_t>(*dtype) : integer.getInt());
  }
  return params;
}

static std::vector<kernels::Scalar> scalarsOf(const kernels::Family &family, ArrayAttr args) {
  std::vector<kernels::Scalar> scalars;
  for (auto [decl, arg] : llvm::zip(family.args, args))
    if (isScalar(decl.kind)) {
      auto integer = dyn_cast<IntegerAttr>(arg);
      scalars.push_back({.i = integer ? static_cast<int32_t>(integer.getInt()) : 0}); // others shape no launch
    }
  return scalars;
}

std::vector<LaunchCost> nanocc::launchesOf(plan::ProgramOp program, ArrayRef<Operation *> nodes) {
  std::optional<codegen::DeviceModel> device = codegen::deviceModel(program.getSymName().str());
  SymbolTable symbols(program);
  std::vector<LaunchCost> launches;
  for (auto [index, node] : llvm::enumerate(nodes)) {
    auto number = [&](StringRef name) { return node->getAttrOfType<IntegerAttr>(name).getInt(); };
    auto kernel = symbols.lookup<plan::KernelOp>(node->getAttrOfType<FlatSymbolRefAttr>("kernel").getValue());
    const kernels::Family *family = codegen::findFamily(kernel.getFamily().str());
    kernels::Params params = paramsOf(kernel);
    bool complete = family && params.values.size() == family->params.size();
    LaunchCost launch{kernel.getSymName().str(),
                      locationText(node->getLoc()),
                      isa<plan::GemmOp>(node),
                      number("bytes"),
                      number("flops"),
                      std::nullopt,
                      {},
                      {}};
    if (auto considered = node->getAttrOfType<ArrayAttr>("considered"))
      for (auto line : considered.getAsRange<StringAttr>())
        launch.considered.push_back(line.str());
    if (complete && !launch.library && program.getSymName() != "cpu")
      launch.fallback = kernels::fallbackOf(*family, params);
    if (auto own = dyn_cast<plan::LaunchOp>(node)) {
      launch.shared = own.getShared();
      launch.registers = blockRegisters(own);
      launch.onEarlyEdge = isOnProgrammaticEdge(nodes, index);
    }
    if (device) {
      auto programmatic = node->getAttrOfType<DenseI32ArrayAttr>("programmatic");
      const bool early = programmatic && !programmatic.empty();
      launch.predicted =
          codegen::predict(*device, {{static_cast<uint64_t>(launch.bytes), static_cast<uint64_t>(launch.flops)},
                                     complete && codegen::usesTensorCores(*family, params, launch.library),
                                     early});
      if (complete && !launch.library)
        launch.predicted->tilesUs =
            codegen::predictTilesUs(*device,
                                    {family, params, scalarsOf(*family, node->getAttrOfType<ArrayAttr>("args"))}, early)
                .value_or(0);
    }
    launches.push_back(std::move(launch));
  }
  return launches;
}

std::vector<Fallback> nanocc::fallbacksOf(plan::ProgramOp program) {
  std::vector<Fallback> fallbacks;
  auto add = [&](ArrayRef<Operation *> nodes) {
    for (const LaunchCost &launch : launchesOf(program, nodes)) {
      if (launch.fallback.empty())
        continue;
      auto known = llvm::find_if(fallbacks, [&](const Fallback &other) { return other.kernel == launch.kernel; });
      if (known == fallbacks.end())
        known = fallbacks.insert(known, {launch.kernel, launch.fallback});
      ++known->launches;
    }
  };
  for (plan::EntryOp entry : program.getOps<plan::EntryOp>()) {
    add(nodesOf(entry));
    for (plan::WhileOp loop : entry.getBody().getOps<plan::WhileOp>())
      add(ownNodesOf(loop));
  }
  return fallbacks;
}

EntryCost nanocc::costOf(plan::EntryOp entry) {
  auto program = entry->getParentOfType<plan::ProgramOp>();
  EntryCost cost;
  if (codegen::deviceModel(program.getSymName().str()))
    cost.predictedUs = 0;
  auto add = [](Counts &to, const Counts &counts) {
    to.launches += counts.launches;
    to.bytes += counts.bytes;
    to.flops += counts.flops;
  };
  auto own = [&](ArrayRef<Operation *> nodes) {
    Counts counts;
    for (const LaunchCost &launch : launchesOf(program, nodes)) {
      add(counts, {1, launch.bytes, launch.flops});
      if (launch.predicted)
        *cost.predictedUs += launch.predicted->us();
    }
    add(cost.plan, counts);
    return counts;
  };
  cost.eager = own(nodesOf(entry));
  if (std::optional<DictionaryAttr> eager = entry.getEager()) {
    auto count = [&](StringRef name) { return eager->getAs<IntegerAttr>(name).getInt(); };
    cost.eager = {count("launches"), count("bytes"), count("flops")};
  }
  for (plan::WhileOp loop : entry.getBody().getOps<plan::WhileOp>()) {
    EntryCost repeated = costOf(SymbolTable::lookupNearestSymbolFrom<plan::EntryOp>(program, loop.getEntryAttr()));
    add(cost.plan, repeated.plan);
    add(cost.eager, repeated.eager);
    if (cost.predictedUs)
      *cost.predictedUs += *repeated.predictedUs;
    add(cost.eager, own(ownNodesOf(loop)));
  }
  return cost;
}

MemoryLine nanocc::memoryOf(plan::ProgramOp program) {
  MemoryLine line;
  auto bytes = [&](StringRef name) { return program.getMemory()->getAs<IntegerAttr>(name).getInt(); };
  SymbolTable symbols(program);
  for (plan::ConstantOp constant : program.getOps<plan::ConstantOp>())
    if (constant.getSources().empty())
      for (auto part : constant.getParts().getAsRange<FlatSymbolRefAttr>())
        line.tables += (symbols.lookup<plan::BufferOp>(part.getValue()).getBytes() + 255) / 256 * 256;
  line.weights = bytes("constants") - line.tables;
  line.kv = bytes("kv");
  line.state = bytes("state");
  line.arena = bytes("arena");
  line.workspace = bytes("workspace");
  if (program.getMemory()->contains("mapped"))
    line.mapped = bytes("mapped");
  return line;
}
