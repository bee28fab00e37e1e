#include "runtime/measure/workbench.h"

#include "codegen/Instantiate.h"
#include "codegen/Nvrtc.h"
#include "runtime/base/error.h"
#include "runtime/cuda/tensor_map.h"

#include <algorithm>

namespace nanort::cuda {

namespace {

// What a chain goes round in: three times the L2 of an H100 or H200. What is so small that the longest chain cannot
// fill it stays in L2, as it does in a model that small.
constexpr uint64_t goesRound = uint64_t{160} << 20;
constexpr uint32_t shortestChain = 20, longestChain = 400; // launches between two readings of the clock
constexpr uint64_t alignment = 256;                        // of a copy, as of a plan's buffers

class KernelChain : public TimedChain {
public:
  KernelChain(const Device &device, const Candidate &candidate, const std::string &name,
              const kernels::LaunchShape &shape, std::shared_ptr<const Image> image, const ChainData &data,
              uint32_t chain, bool early)
      : TimedChain(device, name, candidate.choice.text(), chain, image) {
    const codegen::Instance &instance = candidate.instance;
    const auto &args = instance.kernel->args;
    early = early && instance.kernel->engine->waitsItself && shape.sharedBytes <= kernels::halfSmShared;
    const uint32_t grid[3] = {shape.blocks, 1, 1}, block[3] = {shape.threads, 1, 1};
    for (uint32_t launch = 0; launch < chain; ++launch) {
      std::vector<kernels::Scalar> scalars = candidate.scalars;
      std::vector<DevicePtr> places(args.size());
      std::vector<void *> arguments;
      size_t scalar = 0;
      for (size_t i = 0; i < args.size(); ++i) {
        if (isScalar(args[i].access)) {
          arguments.push_back(&scalars[scalar++]);
          continue;
        }
        places[i] = data.operands.find(args[i].name)->second->address;
        if (auto stride = data.strides.find(args[i].name); stride != data.strides.end())
          places[i] += launch % data.copies * stride->second;
        arguments.push_back(&places[i]);
      }
      TensorMapStore maps; // a node copies its arguments
      for (const kernels::TensorMap &map : instance.kernel->maps(instance.launch, data.limits)) {
        const size_t arg = instance.kernel->indexOf(map.arg);
        arguments.push_back(&maps.emplace_back(
            encode(device.driver(), map, elementType(args[arg], instance.params), places[arg], name)));
      }
      const GraphEdge edge{launch - 1, early};
      graph.addKernel({image->function, grid, block, shape.sharedBytes, arguments.data()},
                      launch == 0 ? std::span<const GraphEdge>() : std::span(&edge, 1), name);
    }
    graph.instantiate(name);
  }
};

} // namespace

std::vector<Candidate> candidatesFor(const codegen::Problem &problem, const std::string &target,
                                     const std::map<std::string_view, float> &reals) {
  std::vector<Candidate> candidates;
  for (codegen::Choice &choice : codegen::choicesFor(problem, target)) {
    std::string why;
    Candidate candidate{std::move(choice), {}, {}};
    candidate.instance = *codegen::instanceOf(problem, candidate.choice, target, why);
    for (const kernels::Arg &arg : candidate.instance.kernel->args)
      if (arg.access == kernels::Access::F32) {
        const auto real = reals.find(arg.name);
        candidate.scalars.push_back({.f = real == reals.end() ? 0 : real->second});
      } else if (isScalar(arg.access)) {
        candidate.scalars.push_back({.i = static_cast<int32_t>(candidate.instance.launch[arg.name])});
      }
    candidates.push_back(std::move(candidate));
  }
  return candidates;
}

Workbench::Workbench(int device, std::string theTarget, int rounds, const std::filesystem::path &cacheDir, bool noCache)
    : target(std::move(theTarget)), rounds(rounds), gpu(Driver::require(), device), staging(gpu), clock(gpu),
      cache(noCache ? codegen::Cache::disabled() : codegen::Cache::open(cacheDir)) {
  std::optional<Arch> arch = parseArch(target);
  if (!arch || arch->ptx || !runsOn(*arch, gpu.arch()))
    fail(Exit::Device, "program " + target + " is not for " + gpu.name() +
                           ": times say something only on its own architecture; compile with --target " +
                           nativeTarget(gpu.arch()));
  std::string reason;
  if (!(nvrtc = codegen::Nvrtc::open(reason)))
    fail(Exit::Device, "tuning compiles kernels, and there is no NVRTC: " + reason);
}

Workbench::~Workbench() { gpu.bind(); }

ChainData Workbench::data(const std::vector<Candidate> &candidates, const kernels::Limits &limits,
                          std::initializer_list<std::string_view> cold) {
  struct Need {
    uint64_t bytes = 0;
    bool random = false;
  };
  std::map<std::string_view, Need> needs;
  for (const Candidate &candidate : candidates) {
    const codegen::Instance &instance = candidate.instance;
    for (const kernels::Arg &arg : instance.kernel->args)
      if (!isScalar(arg.access)) {
        const kernels::DType type = elementType(arg, instance.params);
        Need &need = needs[arg.name];
        need.bytes = std::max(need.bytes, bytesOf(type, instance.kernel->elements(arg, instance.launch, limits)));
        need.random = kernels::isFloat(type);
      }
  }

  ChainData data;
  data.limits = limits;
  uint64_t coldBytes = 0;
  for (std::string_view name : cold)
    if (auto need = needs.find(name); need != needs.end()) {
      const uint64_t stride = (need->second.bytes + alignment - 1) / alignment * alignment;
      data.strides.emplace(name, stride);
      coldBytes += stride;
    }
  if (coldBytes > 0)
    data.copies = std::clamp<uint64_t>((goesRound + coldBytes - 1) / coldBytes, 1, longestChain);
  data.launches = static_cast<uint32_t>(std::max<uint64_t>(data.copies, shortestChain));
  uint64_t shift = 0; // odd, so that no row of one operand is one of another
  for (const auto &[name, need] : needs) {
    auto stride = data.strides.find(name);
    const uint64_t bytes = stride == data.strides.end() ? need.bytes : stride->second * data.copies;
    data.operands[std::string(name)] =
        need.random ? std::make_unique<Operand>(gpu, staging, bytes, shift) : std::make_unique<Operand>(gpu, bytes);
    shift += 300'007;
  }
  return data;
}

std::vector<std::unique_ptr<TimedChain>> Workbench::chains(const std::vector<Candidate> &candidates,
                                                           const ChainData &data, bool early, const Refused &refused) {
  std::vector<std::unique_ptr<TimedChain>> chains;
  const std::vector<std::vector<char>> images = compile(candidates, refused);
  for (size_t i = 0; i < candidates.size(); ++i)
    if (!images[i].empty())
      try {
        const codegen::Instance &instance = candidates[i].instance;
        const std::string name = instance.kernel->instanceName(instance.params);
        const kernels::LaunchShape shape = instance.shape();
        chains.push_back(std::make_unique<KernelChain>(
            gpu, candidates[i], name, shape, std::make_shared<const Image>(gpu, images[i], name, shape.sharedBytes),
            data, candidates[i].once ? 1 : data.launches, early));
      } catch (const Error &error) {
        refused(error.what());
      }
  return chains;
}

std::vector<KernelTime> Workbench::times(const std::vector<std::unique_ptr<TimedChain>> &chains) {
  takeTurns(chains, clock, rounds);
  std::vector<KernelTime> result;
  for (const auto &chain : chains)
    result.push_back({chain->kernel, chain->choice, chain->us()});
  return result;
}

std::vector<std::vector<char>> Workbench::compile(const std::vector<Candidate> &candidates, const Refused &refused) {
  std::vector<codegen::CompileJob> jobs;
  for (const Candidate &candidate : candidates)
    jobs.push_back({candidate.instance.kernel->instanceName(candidate.instance.params),
                    codegen::instantiate(*candidate.instance.kernel, candidate.instance.params).text()});
  try {
    return codegen::compileAll(cache, *nvrtc, jobs, target); // on all cores
  } catch (const Error &) {                                  // of one of them, so again one by one
  }
  std::vector<std::vector<char>> images(jobs.size());
  for (size_t i = 0; i < jobs.size(); ++i)
    try {
      images[i] = cache.compile(*nvrtc, jobs[i].name, jobs[i].source, target);
    } catch (const Error &error) {
      refused(error.what());
    }
  return images;
}

} // namespace nanort::cuda
