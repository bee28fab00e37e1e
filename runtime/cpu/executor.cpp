// The CPU executor: a program's launches through the CPU references of its meanings, in the plan's own memory layout.
#include "runtime/executor/executor.h"
#include "kernels_templates/base/reference.h"
#include "runtime/base/error.h"
#include "runtime/executor/host_math.h"
#include "runtime/weights/constants.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <random>
#include <unistd.h>
#include <vector>

namespace nanort {
namespace {

/// A zeroed allocation with the alignment that buffer offsets assume.
class Block {
public:
  Block() = default;
  explicit Block(uint64_t bytes) {
    if (bytes == 0)
      return;
    const uint64_t rounded = (bytes + 255) / 256 * 256;
    memory.reset(static_cast<std::byte *>(std::aligned_alloc(256, rounded)));
    if (!memory)
      fail(Exit::Memory, "the CPU executor could not allocate " + std::to_string(bytes) +
                             " bytes; compile the plan with a smaller --batch or --max-seq");
    std::memset(memory.get(), 0, rounded);
  }
  std::byte *data() const { return memory.get(); }

private:
  struct Free {
    void operator()(std::byte *p) const { std::free(p); }
  };
  std::unique_ptr<std::byte, Free> memory;
};

struct Launch {
  kernels::Reference reference;
  const KernelInstance *kernel;
  std::vector<void *> buffers;
  std::vector<kernels::Scalar> scalars;
  std::vector<uint32_t> arena;      // indices of arena buffers among its arguments, each once
  std::vector<uint32_t> successors; // nodes with an edge from this one
  uint32_t predecessors = 0;
};

struct Graph {
  std::vector<Launch> launches;
  struct Loop {
    uint32_t body; // index of the graph of another entry's launches and the loop's own
    uint32_t go, word;
  };
  std::vector<Loop> loops;
  std::vector<std::pair<uint32_t, uint32_t>> users; // (arena buffer that does not outlive the entry, its launches)
};

class CpuExecutor final : public Executor {
public:
  CpuExecutor(std::shared_ptr<const Plan> plan, uint32_t index, const Weights &weights, const CpuOptions &options)
      : plan(std::move(plan)), program(this->plan->program(index)), kernels(this->plan->kernels(index)),
        weights(weights), math(makeHostMath(options.threads)), poison(options.poison),
        shuffle(options.shuffleSeed != 0), random(options.shuffleSeed) {
    const auto start = std::chrono::steady_clock::now();
    allocate();
    makeConstants();
    for (const schema::Entry *entry : *program.entries())
      graphs.push_back(makeGraph(*entry, nullptr));
    for (uint32_t i = 0; i < program.entries()->size(); ++i)
      if (const auto *loops = program.entries()->Get(i)->loops())
        for (const schema::Loop *loop : *loops) {
          graphs[i].loops.push_back({static_cast<uint32_t>(graphs.size()), loop->go(), loop->word()});
          graphs.push_back(makeGraph(*program.entries()->Get(loop->entry()), loop));
        }
    numbers.loadMs = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }

  std::string device() const override { return "cpu"; }
  const ExecutorStats &stats() const override { return numbers; }

  void write(uint32_t buffer, const void *data, size_t bytes) override {
    if (space(buffer) == schema::Space::Constant)
      fail(Exit::Internal, "constants are read-only after load");
    std::memcpy(range(buffer, bytes), data, bytes);
  }
  void read(uint32_t buffer, void *data, size_t bytes) override { std::memcpy(data, range(buffer, bytes), bytes); }

  void run(uint32_t entry) override {
    launch(graphs.at(entry));
    for (const Graph::Loop &loop : graphs[entry].loops)
      while (reinterpret_cast<const uint32_t *>(addresses[loop.go])[loop.word] != 0)
        launch(graphs[loop.body]);
  }
  void runNode(uint32_t entry, uint32_t node) override { execute(graphs.at(entry).launches.at(node)); }
  std::byte *mapped(uint32_t buffer) override { return addresses.at(buffer); }

private:
  void launch(const Graph &graph) {
    if (poison)
      std::memset(arena.data(), 0xff, program.memory()->arena());
    std::vector<uint32_t> pending(program.buffers()->size());
    for (auto [buffer, launches] : graph.users)
      pending[buffer] = launches;
    for (uint32_t node : order(graph)) {
      execute(graph.launches[node]);
      for (uint32_t buffer : graph.launches[node].arena)
        if (poison && pending[buffer] != 0 && --pending[buffer] == 0)
          std::memset(addresses[buffer], 0xff, program.buffers()->Get(buffer)->bytes());
    }
  }
  std::shared_ptr<const Plan> plan;
  const schema::Program &program;
  const std::vector<KernelInstance> &kernels;
  const Weights weights; // keeps mapped constants alive
  std::unique_ptr<kernels::HostMath> math;
  const bool poison, shuffle;
  std::mt19937_64 random;
  ExecutorStats numbers;
  Block kv, state, arena, workspace, shared;
  std::vector<Block> constants;
  std::vector<std::byte *> addresses; // of each buffer
  std::vector<uint64_t> sizes;        // of each buffer in bytes: of a constant, without layout
  std::vector<Graph> graphs;          // of each entry, then of each loop

  schema::Space space(uint32_t buffer) const { return program.buffers()->Get(buffer)->space(); }

  std::byte *range(uint32_t buffer, size_t bytes) const {
    if (buffer >= addresses.size() || bytes > sizes[buffer])
      fail(Exit::Internal, "a transfer of " + std::to_string(bytes) + " bytes leaves buffer " + std::to_string(buffer));
    return addresses[buffer];
  }

  /// Refuses what cannot fit before the first allocation: a large request may succeed and kill the process when
  /// touched.
  void allocate() {
    const schema::Memory &memory = *program.memory();
    uint64_t needed = memory.kv() + memory.state() + memory.arena() + memory.workspace() + memory.mapped();
    for (const schema::Constant *constant : *program.constants()) {
      const ConstantMaker maker(weights, program, *constant);
      for (uint32_t part = 0; part < constant->parts()->size(); ++part)
        needed += maker.view(part) ? 0 : maker.bytes(part, Layout::Logical);
    }
    const uint64_t installed =
        static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    if (needed > installed)
      fail(Exit::Memory, plan->path().string() + ": program " + program.target()->str() + " needs " +
                             std::to_string(needed) + " bytes, this machine has " + std::to_string(installed) +
                             "; compile it with a smaller --batch or --max-seq");
    kv = Block(memory.kv());
    state = Block(memory.state());
    arena = Block(memory.arena());
    workspace = Block(memory.workspace());
    shared = Block(memory.mapped());
    numbers.kv = memory.kv();
    numbers.state = memory.state();
    numbers.arena = memory.arena();
    numbers.workspace = memory.workspace();
    numbers.mapped = memory.mapped();
    for (const schema::Buffer *buffer : *program.buffers()) {
      std::byte *base = nullptr;
      switch (buffer->space()) {
      case schema::Space::Constant: // set by makeConstants
        break;
      case schema::Space::Kv:
        base = kv.data();
        break;
      case schema::Space::State:
        base = state.data();
        break;
      case schema::Space::Arena:
        base = arena.data();
        break;
      case schema::Space::Workspace:
        base = workspace.data();
        break;
      case schema::Space::Mapped:
        base = shared.data();
        break;
      }
      addresses.push_back(base ? base + buffer->offset() : nullptr);
      sizes.push_back(buffer->bytes());
    }
  }

  void makeConstants() {
    for (const schema::Constant *constant : *program.constants()) {
      ConstantMaker maker(weights, program, *constant);
      for (uint32_t part = 0; part < constant->parts()->size(); ++part) {
        const uint32_t buffer = constant->parts()->Get(part)->buffer();
        sizes[buffer] = maker.bytes(part, Layout::Logical);
        if (const std::byte *view = maker.view(part)) {
          // Never written: the plan's check lets no launch write a constant.
          addresses[buffer] = const_cast<std::byte *>(view);
          continue;
        }
        constants.emplace_back(sizes[buffer]);
        addresses[buffer] = constants.back().data();
        maker.write(part, Layout::Logical, 0, maker.elements(part, Layout::Logical), addresses[buffer], *math);
        numbers.constants += sizes[buffer];
      }
    }
  }

  /// The launches of an entry, and of a loop that repeats it.
  Graph makeGraph(const schema::Entry &entry, const schema::Loop *loop) const {
    Graph graph;
    std::vector<uint32_t> users(program.buffers()->size());
    std::vector<const schema::Node *> nodes(entry.nodes()->begin(), entry.nodes()->end());
    if (loop)
      nodes.insert(nodes.end(), loop->nodes()->begin(), loop->nodes()->end());
    for (const schema::Node *node : nodes) {
      Launch launch;
      const KernelInstance &kernel = kernels[kernelIndexOf(*node)];
      launch.reference = kernels::findReference(kernel.kernel->meaning.name);
      if (!launch.reference)
        fail(Exit::Internal, kernel.kernel->meaning.name + " has no CPU reference");
      launch.kernel = &kernel;
      for (const schema::Arg *arg : argumentsOf(*node)) {
        kernels::Scalar scalar = {};
        switch (arg->kind()) {
        case schema::ArgKind::Buffer:
          launch.buffers.push_back(addresses[arg->buffer()]);
          if (space(arg->buffer()) == schema::Space::Arena &&
              std::count(launch.arena.begin(), launch.arena.end(), arg->buffer()) == 0) {
            launch.arena.push_back(arg->buffer());
            ++users[arg->buffer()];
          }
          continue;
        case schema::ArgKind::I32:
          scalar.i = arg->i32();
          break;
        case schema::ArgKind::F32:
          scalar.f = arg->f32();
          break;
        case schema::ArgKind::Condition: // the loop's word decides
          break;
        }
        launch.scalars.push_back(scalar);
      }
      const auto index = static_cast<uint32_t>(graph.launches.size());
      for (const schema::Edge *edge : *node->edges()) {
        graph.launches[edge->from()].successors.push_back(index);
        ++launch.predecessors;
      }
      graph.launches.push_back(std::move(launch));
    }
    for (const schema::Binding *output : *entry.outputs())
      users[output->buffer()] = 0; // read by the host after the entry
    for (uint32_t buffer = 0; buffer < users.size(); ++buffer)
      if (users[buffer] != 0)
        graph.users.emplace_back(buffer, users[buffer]);
    return graph;
  }

  /// The plan's order, or a random one that its edges allow: what only the plan's order kept apart then goes wrong.
  std::vector<uint32_t> order(const Graph &graph) {
    const auto count = static_cast<uint32_t>(graph.launches.size());
    std::vector<uint32_t> result, ready, waiting(count);
    for (uint32_t i = 0; i < count; ++i) {
      if (!shuffle)
        result.push_back(i);
      else if ((waiting[i] = graph.launches[i].predecessors) == 0)
        ready.push_back(i);
    }
    while (!ready.empty()) {
      std::swap(ready[random() % ready.size()], ready.back());
      const uint32_t node = ready.back();
      ready.pop_back();
      result.push_back(node);
      for (uint32_t next : graph.launches[node].successors)
        if (--waiting[next] == 0)
          ready.push_back(next);
    }
    return result;
  }

  void execute(const Launch &launch) {
    launch.reference({*launch.kernel->kernel, launch.kernel->params, launch.buffers, launch.scalars, *math});
  }
};

} // namespace

std::unique_ptr<Executor> makeCpuExecutor(std::shared_ptr<const Plan> plan, uint32_t program, const Weights &weights,
                                          const CpuOptions &options) {
  return std::make_unique<CpuExecutor>(std::move(plan), program, weights, options);
}

} // namespace nanort
