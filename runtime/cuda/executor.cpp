// Runs a program's entries on a CUDA device: each as one graph, or launch by launch on one stream.
#include "runtime/session/executor.h"

#include "runtime/cpu/host_math.h"
#include "runtime/cuda/cublaslt.h"
#include "runtime/cuda/device.h"
#include "runtime/cuda/graph.h"
#include "runtime/cuda/memory.h"
#include "runtime/cuda/modules.h"

#include <chrono>
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

/// A node ready to be enqueued: nothing is looked up or allocated per step.
struct Step {
  KernelLaunch kernel; // without a function: a Gemm
  size_t product = 0;  // Gemm only, with the three operands
  DevicePtr x = 0, w = 0, y = 0;
};

/// Kernel arguments as cuLaunchKernel wants them: values of up to 8 bytes, and a list of pointers to them per launch.
class ArgumentStore {
public:
  explicit ArgumentStore(size_t count) : values(count), pointers(count) {}
  template <typename T> void push(T value) {
    static_assert(sizeof(T) <= sizeof(uint64_t));
    std::memcpy(&values[used], &value, sizeof value);
    pointers[used] = &values[used];
    ++used;
  }
  void **next() { return pointers.data() + used; }

private:
  std::vector<uint64_t> values;
  std::vector<void *> pointers;
  size_t used = 0;
};

size_t countArguments(const schema::Program &program) {
  size_t count = 0;
  for (const schema::Entry *entry : *program.entries())
    for (const schema::Node *node : *entry->nodes())
      count += node->args()->size();
  return count;
}

bool usesGemm(const schema::Program &program) {
  for (const schema::Entry *entry : *program.entries())
    for (const schema::Node *node : *entry->nodes())
      if (node->kind() == schema::NodeKind::Gemm)
        return true;
  return false;
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
GemmShape shapeOf(const schema::Kernel &linear, int32_t tokens) {
  GemmShape shape;
  shape.tokens = static_cast<uint64_t>(tokens);
  for (const schema::Param *param : *linear.params()) {
    std::string_view name = param->name()->string_view();
    if (name == "N")
      shape.n = param->value();
    else if (name == "K")
      shape.k = param->value();
    else if (name == "T")
      shape.in = static_cast<kernels::DType>(param->value());
    else if (name == "O")
      shape.out = static_cast<kernels::DType>(param->value());
  }
  return shape;
}

class CudaExecutor : public Executor {
public:
  CudaExecutor(std::shared_ptr<const Plan> thePlan, uint32_t index, const Weights &weights, const CudaOptions &options)
      : start(Clock::now()), plan(std::move(thePlan)), gpu(Driver::require(), options.device),
        program(fitting(gpu, plan->program(index))), modules(gpu, program, options), spaces(gpu, program), staging(gpu),
        inputs(program, spaces, staging), arguments(countArguments(program)),
        synchronous(environmentFlag("NANORT_SYNC")), poison(environmentFlag("NANORT_POISON")),
        useGraphs(options.graphs && !synchronous) {
    // Positions that no token was written to are never read; the poison proves it.
    spaces.fill(schema::Space::Kv, poison ? 0xff : 0);
    spaces.fill(schema::Space::State, 0);
    auto math = makeHostMath(0);
    uploadConstants(program, weights, spaces, staging, *math);
    if (usesGemm(program))
      library = std::make_unique<CublasLt>(gpu);
    for (const schema::Entry *entry : *program.entries()) {
      std::vector<Step> &list = steps.emplace_back();
      for (const schema::Node *node : *entry->nodes())
        list.push_back(node->kind() == schema::NodeKind::Gemm ? gemm(*node) : launch(*node));
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
    if (useGraphs) {
      graph(entry).launch(lastRun);
    } else {
      for (uint32_t node = 0; node < steps[entry].size(); ++node)
        enqueue(entry, node);
    }
    if (!synchronous)
      lastRun += " (NANORT_SYNC=1 names the launch)";
  }

  void runNode(uint32_t entry, uint32_t node) override {
    gpu.makeCurrent();
    inputs.send();
    enqueue(entry, node);
    lastRun = nodeText(entry, node);
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

  Step launch(const schema::Node &node) {
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
      }
    }
    return step;
  }

  Step gemm(const schema::Node &node) {
    const auto &args = *node.args();
    Step step;
    step.product = library->plan(shapeOf(*program.kernels()->Get(node.kernel()), args[3]->i32()),
                                 spaces.bytes(schema::Space::Workspace));
    step.x = operand(*args[0]);
    step.w = operand(*args[1]);
    step.y = operand(*args[2]);
    return step;
  }

  std::string nodeText(uint32_t entry, uint32_t node) const {
    const schema::Entry &from = *program.entries()->Get(entry);
    const schema::Kernel &kernel = *program.kernels()->Get(from.nodes()->Get(node)->kernel());
    return "entry " + from.name()->str() + ", node " + std::to_string(node) + " (" + kernel.name()->str() + ")";
  }

  void enqueue(uint32_t entry, uint32_t node) {
    const Driver &driver = gpu.driver();
    const Step &step = steps[entry][node];
    if (const KernelLaunch &k = step.kernel; k.function) {
      Result result = driver.cuLaunchKernel(k.function, k.grid[0], k.grid[1], k.grid[2], k.block[0], k.block[1],
                                            k.block[2], k.sharedBytes, gpu.stream(), k.arguments, nullptr);
      if (result != Success)
        driver.raise(result, "cuLaunchKernel", nodeText(entry, node));
    } else if (int status = library->run(step.product, step.x, step.w, step.y, spaces.base(schema::Space::Workspace))) {
      library->raise(status, "cublasLtMatmul", nodeText(entry, node));
    }
    if (synchronous)
      gpu.synchronize(nodeText(entry, node));
  }

  /// The graph of an entry, built when the entry first runs.
  const Graph &graph(uint32_t entry) {
    if (graphs[entry])
      return *graphs[entry];
    auto made = std::make_unique<Graph>(gpu);
    std::vector<GraphEdge> edges;
    const schema::Entry &described = *program.entries()->Get(entry);
    for (uint32_t i = 0; i < steps[entry].size(); ++i) {
      edges.clear();
      for (const schema::Edge *edge : *described.nodes()->Get(i)->edges())
        edges.push_back({edge->from(), edge->kind() == schema::EdgeKind::Programmatic});
      if (steps[entry][i].kernel.function)
        made->addKernel(steps[entry][i].kernel, edges, nodeText(entry, i));
      else
        made->addCaptured([&] { enqueue(entry, i); }, edges, nodeText(entry, i));
    }
    made->instantiate("entry " + described.name()->str());
    return *(graphs[entry] = std::move(made));
  }

  /// Names the kernels on programmatic edges that leave too few registers for the other end to start early: correct,
  /// but not worth its edge (cuda-rules.md, rule 6; shared memory is checked by the compiler, which cannot know these).
  void noteRegisters() {
    constexpr int HalfSmRegisters = 32 << 10;
    std::vector<bool> onEdge(program.kernels()->size());
    std::vector<int> threads(onEdge.size());
    for (const schema::Entry *entry : *program.entries())
      for (const schema::Node *node : *entry->nodes()) {
        if (node->kind() == schema::NodeKind::Gemm)
          continue;
        const auto &block = *node->block();
        threads[node->kernel()] = static_cast<int>(block[0] * block[1] * block[2]); // the family's, for all launches
        for (const schema::Edge *edge : *node->edges())
          if (edge->kind() == schema::EdgeKind::Programmatic)
            onEdge[node->kernel()] = onEdge[entry->nodes()->Get(edge->from())->kernel()] = true;
      }
    for (uint32_t i = 0; i < onEdge.size(); ++i) {
      if (!onEdge[i])
        continue;
      const std::string name = "kernel " + program.kernels()->Get(i)->name()->str();
      int registers = 0;
      gpu.driver().check(gpu.driver().cuFuncGetAttribute(&registers, FunctionRegisters, modules.function(i)),
                         "cuFuncGetAttribute", name);
      if (registers * threads[i] > HalfSmRegisters)
        numbers.notes.push_back(name + ": " + std::to_string(registers) + " registers for each of " +
                                std::to_string(threads[i]) +
                                " threads are more than half an SM: what follows it cannot start early");
    }
  }

  void describe() {
    numbers.constants = spaces.bytes(schema::Space::Constant);
    numbers.kv = spaces.bytes(schema::Space::Kv);
    numbers.state = spaces.bytes(schema::Space::State);
    numbers.arena = spaces.bytes(schema::Space::Arena);
    numbers.workspace = spaces.bytes(schema::Space::Workspace);
    numbers.loadMs = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    numbers.notes.push_back("driver for CUDA " + versionText(gpu.driver().version()));
    numbers.notes.push_back(modules.compiled() ? std::to_string(modules.compiled()) + " kernels compiled for the device"
                                               : std::string("all kernels from the plan"));
    if (library)
      numbers.notes.push_back("cuBLASLt " + library->version() + " (" + library->path() + ")");
    numbers.notes.push_back(!useGraphs                       ? "launch by launch"
                            : supportsProgrammaticEdges(gpu) ? "one graph an entry, programmatic edges"
                                                             : "one graph an entry, full edges");
    if (useGraphs && supportsProgrammaticEdges(gpu))
      noteRegisters();
  }

  Clock::time_point start;
  std::shared_ptr<const Plan> plan;
  Device gpu; // its destructor comes after all that lives in its context
  const schema::Program &program;
  Modules modules;
  Spaces spaces;
  Staging staging;
  Inputs inputs;
  std::unique_ptr<CublasLt> library;
  ArgumentStore arguments;
  std::vector<std::vector<Step>> steps;       // by entry
  std::vector<std::unique_ptr<Graph>> graphs; // by entry; null until it first runs
  std::string lastRun;                        // for errors that surface later
  bool synchronous, poison, useGraphs;
  ExecutorStats numbers;
};

} // namespace

} // namespace cuda

std::unique_ptr<Executor> makeCudaExecutor(std::shared_ptr<const Plan> plan, uint32_t program, const Weights &weights,
                                           const CudaOptions &options) {
  return std::make_unique<cuda::CudaExecutor>(std::move(plan), program, weights, options);
}

} // namespace nanort
