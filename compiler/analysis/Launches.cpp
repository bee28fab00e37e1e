#include "compiler/analysis/Launches.h"

#include "codegen/Choices.h"
#include "compiler/analysis/Conflicts.h"
#include "compiler/analysis/KernelLaunch.h"

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

static std::vector<kernels::Scalar> scalarsOf(const kernels::Kernel &kernel, ArrayAttr args) {
  std::vector<kernels::Scalar> scalars;
  for (auto [decl, arg] : llvm::zip(kernel.args, args))
    if (isScalar(decl.access)) {
      auto integer = dyn_cast<IntegerAttr>(arg);
      scalars.push_back({.i = integer ? static_cast<int32_t>(integer.getInt()) : 0}); // others shape no launch
    }
  return scalars;
}

std::vector<LaunchCost> nanocc::launchesOf(plan::ProgramOp program, ArrayRef<Operation *> nodes) {
  std::optional<kernels::DeviceModel> device = kernels::deviceModel(program.getSymName().str());
  SymbolTable symbols(program);
  std::vector<LaunchCost> launches;
  for (auto [index, node] : llvm::enumerate(nodes)) {
    auto number = [&](StringRef name) { return node->getAttrOfType<IntegerAttr>(name).getInt(); };
    auto declared = symbols.lookup<plan::KernelOp>(node->getAttrOfType<FlatSymbolRefAttr>("kernel").getValue());
    kernels::Values params;
    const kernels::Kernel *kernel = kernelOf(declared, params);
    LaunchCost launch{declared.getSymName().str(),
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
    if (kernel)
      launch.fallback = kernel->fallback(params);
    if (auto own = dyn_cast<plan::LaunchOp>(node)) {
      launch.shared = own.getShared();
      launch.registers = blockRegisters(own);
      launch.onEarlyEdge = isOnProgrammaticEdge(nodes, index);
    }
    if (device) {
      auto programmatic = node->getAttrOfType<DenseI32ArrayAttr>("programmatic");
      const bool early = programmatic && !programmatic.empty();
      const bool tensor = kernel && (launch.library ? params.type("T") == kernels::DType::BF16
                                                    : kernel->tensorCores(params));
      launch.predicted =
          rooflineOf(*device, {static_cast<uint64_t>(launch.bytes), static_cast<uint64_t>(launch.flops)}, tensor, early);
      if (kernel && kernel->engine)
        launch.predicted->tilesUs =
            codegen::predict(*device,
                             {kernel, params,
                              kernel->launch(params, scalarsOf(*kernel, node->getAttrOfType<ArrayAttr>("args")))},
                             early)
                .tilesUs;
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
  if (kernels::deviceModel(program.getSymName().str()))
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
    if (isa<plan::RopeStepAttr>(constant.getSteps()[0]))
      line.tables += (symbols.lookup<plan::BufferOp>(constant.getBuffer()).getBytes() + 255) / 256 * 256;
  line.weights = bytes("constants") - line.tables;
  line.kv = bytes("kv");
  line.state = bytes("state");
  line.arena = bytes("arena");
  line.workspace = bytes("workspace");
  if (program.getMemory()->contains("mapped"))
    line.mapped = bytes("mapped");
  return line;
}
