// Runs a program's entries on a CUDA device: each as one graph, or launch by launch on one stream.
#include "runtime/executor/executor.h"

#include "runtime/cuda/cublaslt.h"
#include "runtime/cuda/device.h"
#include "runtime/cuda/graph.h"
#include "runtime/cuda/late_starters.h"
#include "runtime/cuda/memory.h"
#include "runtime/cuda/modules.h"
#include "runtime/cuda/stamps.h"
#include "runtime/cuda/step.h"
#include "runtime/cuda/tensor_map.h"
#include "runtime/executor/host_math.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace nanort {

namespace cuda {

namespace {

using Clock = std::chrono::steady_clock;

bool environmentFlag(const char *name) {
  const char *value = std::getenv(name);
  return value && *value && std::strcmp(value, "0") != 0;
}

bool usesGemm(const schema::Program &program) {
  bool uses = false;
  forEachNode(program, [&](const schema::Node &node) { uses |= node.work_as_Library() != nullptr; });
  return uses;
}

const schema::Program &fitting(const Device &device, const schema::Program &program) {
  if (!parseArch(program.target()->str()))
    fail(Exit::Device, "program " + program.target()->str() +
                           " holds no CUDA kernels: choose another with --program, or " + "compile with --target " +
                           nativeTarget(device.arch()));
  auto version = static_cast<uint32_t>(device.driver().version());
  if (version < program.min_driver())
    fail(Exit::Device, device.name() + ": the driver is for CUDA " + versionText(version) + ", program " +
                           program.target()->str() + " needs " + versionText(program.min_driver()) +
                           ": update the driver");
  return program;
}

/// The extents of a Gemm are its kernel's parameters: the plan's verifier has held its buffers to them.
GemmShape shapeOf(const kernels::Values &linear, int32_t tokens) {
  GemmShape shape;
  shape.tokens = static_cast<uint64_t>(tokens);
  shape.n = static_cast<uint64_t>(linear["N"]);
  shape.k = static_cast<uint64_t>(linear["K"]);
  shape.in = linear.type("T");
  shape.out = linear.type("O");
  return shape;
}

class CudaExecutor : public Executor {
public:
  CudaExecutor(std::shared_ptr<const Plan> thePlan, uint32_t index, const Weights &weights, const CudaOptions &options)
      : start(Clock::now()), plan(std::move(thePlan)), gpu(Driver::require(), options.device), opened(Clock::now()),
        program(fitting(gpu, plan->program(index))), kernels(plan->kernels(index)), modules(gpu, *plan, index, options),
        loaded(Clock::now()), spaces(gpu, program), staging(gpu), inputs(program, spaces, staging),
        arguments(countArguments(program)), synchronous(environmentFlag("NANORT_SYNC")),
        poison(environmentFlag("NANORT_POISON")), useGraphs(options.graphs && !synchronous),
        useEarlyStarts(!options.fullEdges && modules.waitForProducers() && supportsProgrammaticEdges(gpu)) {
    // Positions that no token was written to are never read; the poison proves it.
    spaces.fill(schema::Space::Kv, poison ? 0xff : 0);
    spaces.fill(schema::Space::State, 0);
    auto math = makeHostMath(0);
    uploadConstants(program, weights, spaces, staging, *math);
    if (usesGemm(program))
      library = std::make_unique<CublasLt>(gpu);
    if (options.times)
      stamps = std::make_unique<Stamps>(gpu, countNodes(program));
    for (const schema::Entry *entry : *program.entries()) {
      std::vector<Step> &list = steps.emplace_back();
      stampsOf.push_back(stamped);
      for (const schema::Node *node : *entry->nodes())
        list.push_back(node->work_as_Library() ? gemm(*node->work_as_Library()) : launch(*node->work_as_Launch()));
    }
    tails.resize(steps.size());
    for (uint32_t i = 0; i < steps.size(); ++i)
      if (const auto *loops = program.entries()->Get(i)->loops())
        for (const schema::Loop *loop : *loops) {
          std::vector<Step> &list = tails[i].emplace_back();
          for (const schema::Node *node : *loop->nodes())
            list.push_back(launch(*node->work_as_Launch()));
        }
    graphs.resize(steps.size());
    lastRun = "upload of the constants";
    gpu.synchronize(lastRun);
    describe();
  }

  // The members are freed in the context, whichever thread this is.
  ~CudaExecutor() override { gpu.bind(); }

  std::string device() const override { return gpu.name(); }
  const ExecutorStats &stats() const override { return numbers; }

  void write(uint32_t buffer, const void *data, size_t bytes) override {
    gpu.makeCurrent();
    const DevicePtr to = place(buffer, bytes);
    if (inputs.contains(buffer))
      inputs.write(*program.buffers()->Get(buffer), buffer, data, bytes);
    else
      staging.write(to, data, bytes);
  }

  void read(uint32_t buffer, void *data, size_t bytes) override {
    gpu.makeCurrent();
    inputs.send();
    staging.read(data, place(buffer, bytes), bytes,
                 "buffer " + program.buffers()->Get(buffer)->name()->str() + " after " + lastRun);
  }

  void run(uint32_t entry) override {
    gpu.makeCurrent();
    inputs.send();
    if (poison)
      spaces.fill(schema::Space::Arena, 0xff);
    lastRun = "entry ";
    lastRun += program.entries()->Get(entry)->name()->c_str();
    if (stamps)
      stamps->clear();
    if (useGraphs && (tails[entry].empty() || supportsLoops(gpu)))
      graph(entry).launch(lastRun);
    else
      runEager(entry);
    if (!synchronous)
      lastRun += " (NANORT_SYNC=1 names the launch)";
  }

  void runNode(uint32_t entry, uint32_t node) override {
    gpu.makeCurrent();
    inputs.send();
    lastRun = nodeText(*program.entries()->Get(entry)->nodes(), entry, node);
    enqueue(steps[entry][node], [&] { return lastRun; });
  }

  bool prefersGeneration() const override { return useGraphs && supportsLoops(gpu); }
  std::vector<LaunchTime> launchTimes(uint32_t entry) override {
    gpu.makeCurrent();
    return stamps ? stamps->read(staging, stampsOf[entry], steps[entry].size(), "times after " + lastRun)
                  : std::vector<LaunchTime>();
  }
  std::byte *mapped(uint32_t buffer) override { return spaces.host(*program.buffers()->Get(buffer)); }

  bool finished() override {
    gpu.makeCurrent();
    const Result result = gpu.driver().cuStreamQuery(gpu.stream());
    if (result != notReady)
      gpu.driver().check(result, "cuStreamQuery", lastRun);
    return result == success;
  }

private:
  DevicePtr place(uint32_t index, size_t bytes) const {
    const schema::Buffer &buffer = *program.buffers()->Get(index);
    if (bytes > buffer.bytes())
      fail(Exit::Internal, "buffer " + buffer.name()->str() + " holds " + std::to_string(buffer.bytes()) +
                               " bytes, not " + std::to_string(bytes));
    return spaces.at(buffer);
  }

  DevicePtr operand(const schema::Arg &arg) const { return spaces.at(*program.buffers()->Get(arg.buffer())); }

  Step launch(const schema::Launch &node) {
    Step step;
    step.kernel = {modules.function(node.kernel()), node.grid()->data(), node.block()->data(), node.shared_bytes(),
                   arguments.next()};
    for (const schema::Arg *arg : *node.args()) {
      switch (arg->kind()) {
      case schema::ArgKind::Buffer:
        arguments.push(operand(*arg));
        break;
      case schema::ArgKind::I32:
        arguments.push(arg->i32());
        break;
      case schema::ArgKind::F32:
        arguments.push(arg->f32());
        break;
      case schema::ArgKind::Condition:
        step.conditions.emplace_back(arguments.push(uint64_t{0}), arg->loop());
        break;
      }
    }
    if (node.maps())
      for (const schema::TensorMap *map : *node.maps())
        arguments.pushAddress(&tensorMap(node, *map));
    if (stamps)
      arguments.push(stamps->at(stamped++));
    return step;
  }

  TensorMapImage &tensorMap(const schema::Launch &node, const schema::TensorMap &map) {
    const schema::Buffer &buffer = *program.buffers()->Get(node.args()->Get(map.arg())->buffer());
    auto list = [](const auto &values) { return std::vector(values->begin(), values->end()); };
    return tensorMaps.emplace_back(
        encode(gpu.driver(), {{}, list(map.extents()), list(map.strides()), list(map.box()), map.swizzle()},
               static_cast<kernels::DType>(buffer.dtype()), spaces.at(buffer),
               "kernel " + program.kernels()->Get(node.kernel())->name()->str()));
  }

  Step gemm(const schema::Library &node) {
    const auto &args = *node.args();
    ++stamped; // without times: the library's kernels take none
    Step step;
    const bool measured = node.version() && node.version()->string_view() == library->version();
    step.product = library->plan(shapeOf(kernels[node.kernel()].params, args[3]->i32()),
                                 spaces.bytes(schema::Space::Workspace), measured ? node.algorithm() : 0);
    step.x = operand(*args[0]);
    step.w = operand(*args[1]);
    step.y = operand(*args[2]);
    return step;
  }

  using Nodes = flatbuffers::Vector<flatbuffers::Offset<schema::Node>>;

  std::string nodeText(const Nodes &nodes, uint32_t entry, uint32_t node) const {
    const schema::Kernel &kernel = *program.kernels()->Get(kernelIndexOf(*nodes.Get(node)));
    return "entry " + program.entries()->Get(entry)->name()->str() + ", node " + std::to_string(node) + " (" +
           kernel.name()->str() + ")";
  }

  /// Text is made for errors alone: a step's launches are many.
  template <typename Text> void enqueue(const Step &step, Text &&text) {
    const Driver &driver = gpu.driver();
    if (const KernelLaunch &k = step.kernel; k.function) {
      Result result = driver.cuLaunchKernel(k.function, k.grid[0], k.grid[1], k.grid[2], k.block[0], k.block[1],
                                            k.block[2], k.sharedBytes, gpu.stream(), k.arguments, nullptr);
      if (result != success)
        driver.raise(result, "cuLaunchKernel", text());
    } else if (int status = library->run(step.product, step.x, step.w, step.y, spaces.base(schema::Space::Workspace))) {
      library->raise(status, "cublasLtMatmul", text());
    }
    if (synchronous)
      gpu.synchronize(text());
  }

  void enqueue(const std::vector<Step> &list, const Nodes &nodes, uint32_t entry) {
    for (uint32_t i = 0; i < list.size(); ++i)
      enqueue(list[i], [&] { return nodeText(nodes, entry, i); });
  }

  /// Launch by launch: before each turn of a loop the host reads its word.
  void runEager(uint32_t index) {
    const schema::Entry &entry = *program.entries()->Get(index);
    enqueue(steps[index], *entry.nodes(), index);
    for (uint32_t i = 0; i < tails[index].size(); ++i) {
      const schema::Loop &loop = *entry.loops()->Get(i);
      const DevicePtr word = spaces.at(*program.buffers()->Get(loop.go())) + loop.word() * sizeof(uint32_t);
      for (uint32_t go = 0; staging.read(&go, word, sizeof go, lastRun), go != 0;) {
        enqueue(steps[loop.entry()], *program.entries()->Get(loop.entry())->nodes(), loop.entry());
        enqueue(tails[index][i], *loop.nodes(), index);
      }
    }
  }

  /// Adds nodes, whose edges count those that `body` has.
  void add(GraphBody &body, const std::vector<Step> &list, const Nodes &nodes, uint32_t entry,
           std::span<const unsigned long long> conditions) {
    std::vector<GraphEdge> edges;
    for (uint32_t i = 0; i < list.size(); ++i) {
      edges.clear();
      for (const schema::Edge *edge : *nodes.Get(i)->edges())
        edges.push_back({edge->from(), useEarlyStarts && edge->kind() == schema::EdgeKind::Programmatic});
      const std::string text = nodeText(nodes, entry, i);
      // The node copies its arguments; launched alone, the kernel gets handle 0.
      for (auto [argument, loop] : list[i].conditions)
        std::memcpy(argument, &conditions[loop], sizeof conditions[loop]);
      if (list[i].kernel.function)
        body.addKernel(list[i].kernel, edges, text);
      else
        body.addCaptured([&] { enqueue(list[i], [&] { return text; }); }, edges, text);
      for (auto [argument, loop] : list[i].conditions)
        std::memset(argument, 0, sizeof conditions[loop]);
    }
  }

  static double milliseconds(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
  }

  /// The graph of an entry, built when the entry first runs.
  const Graph &graph(uint32_t index) {
    if (graphs[index])
      return *graphs[index];
    const Clock::time_point begun = Clock::now();
    auto made = std::make_unique<Graph>(gpu);
    const schema::Entry &entry = *program.entries()->Get(index);
    const std::string text = "entry " + entry.name()->str();
    std::vector<unsigned long long> conditions;
    for (size_t i = 0; i < tails[index].size(); ++i)
      conditions.push_back(made->addCondition(text));
    add(*made, steps[index], *entry.nodes(), index, conditions);
    // One loop after the other, after all nodes; what they leave behind orders them, so no edge is programmatic.
    for (uint32_t i = 0; i < tails[index].size(); ++i) {
      const schema::Loop &loop = *entry.loops()->Get(i);
      std::vector<GraphEdge> before;
      for (uint32_t node = i == 0 ? 0 : entry.nodes()->size() + i - 1; node < entry.nodes()->size() + i; ++node)
        before.push_back({node, false});
      GraphBody body = made->addLoop(conditions[i], before, text + ", loop " + std::to_string(i));
      add(body, steps[loop.entry()], *program.entries()->Get(loop.entry())->nodes(), loop.entry(), conditions);
      add(body, tails[index][i], *loop.nodes(), index, conditions);
    }
    made->instantiate(text);
    graphs[index] = std::move(made);
    numbers.graphsMs += milliseconds(begun, Clock::now());
    return *graphs[index];
  }

  void describe() {
    numbers.constants = spaces.bytes(schema::Space::Constant);
    numbers.kv = spaces.bytes(schema::Space::Kv);
    numbers.state = spaces.bytes(schema::Space::State);
    numbers.arena = spaces.bytes(schema::Space::Arena);
    numbers.workspace = spaces.bytes(schema::Space::Workspace);
    numbers.mapped = spaces.bytes(schema::Space::Mapped);
    const Clock::time_point now = Clock::now();
    numbers.loadMs = milliseconds(start, now);
    numbers.contextMs = milliseconds(start, opened);
    numbers.kernelsMs = milliseconds(opened, loaded);
    numbers.constantsMs = milliseconds(loaded, now);
    numbers.notes.push_back("driver for CUDA " + versionText(gpu.driver().version()));
    numbers.notes.push_back(modules.compiled() ? std::to_string(modules.compiled()) + " kernels compiled for the device"
                                               : std::string("all kernels from the plan"));
    if (library)
      numbers.notes.push_back("cuBLASLt " + library->version() + " (" + library->path() + ")");
    numbers.notes.push_back(!useGraphs       ? "launch by launch"
                            : useEarlyStarts ? "one graph an entry, programmatic edges"
                                             : "one graph an entry, full edges");
    if (useGraphs && useEarlyStarts)
      for (std::string &note : lateStarters(gpu, modules, program))
        numbers.notes.push_back(std::move(note));
  }

  Clock::time_point start;
  std::shared_ptr<const Plan> plan;
  Device gpu; // its destructor comes after all that lives in its context
  Clock::time_point opened;
  const schema::Program &program;
  const std::vector<KernelInstance> &kernels;
  Modules modules;
  Clock::time_point loaded;
  Spaces spaces;
  Staging staging;
  Inputs inputs;
  std::unique_ptr<CublasLt> library;
  std::unique_ptr<Stamps> stamps; // null unless launches are timed
  size_t stamped = 0;             // nodes that have a place there
  std::vector<size_t> stampsOf;   // by entry: the place of its first node
  ArgumentStore arguments;
  TensorMapStore tensorMaps;
  std::vector<std::vector<Step>> steps;              // by entry
  std::vector<std::vector<std::vector<Step>>> tails; // by entry and loop: the loop's own nodes
  std::vector<std::unique_ptr<Graph>> graphs;        // by entry; null until it first runs
  std::string lastRun;                               // for errors that surface later
  bool synchronous, poison, useGraphs, useEarlyStarts;
  ExecutorStats numbers;
};

} // namespace

} // namespace cuda

std::unique_ptr<Executor> makeCudaExecutor(std::shared_ptr<const Plan> plan, uint32_t program, const Weights &weights,
                                           const CudaOptions &options) {
  return std::make_unique<cuda::CudaExecutor>(std::move(plan), program, weights, options);
}

} // namespace nanort
