#include "runtime/cuda/product_timer.h"

#include "codegen/Instantiate.h"
#include "codegen/Nvrtc.h"
#include "codegen/Registry.h"
#include "runtime/cuda/tensor_map.h"

#include <algorithm>

namespace nanort::cuda {

namespace {

// Weights that a chain goes round in: three times the L2 of an H100 or H200. Matrices so small that the longest chain
// cannot fill it stay in L2, as they do in a model that small.
constexpr uint64_t ColdBytes = uint64_t{160} << 20;
constexpr uint32_t ShortestChain = 20, LongestChain = 400; // launches between two readings of the clock
constexpr uint64_t LibraryWorkspace = 32 << 20;

kernels::DType elementType(const codegen::Instance &instance, const kernels::ArgDecl &arg) {
  return kernels::elementType(arg, instance.params);
}

} // namespace

class ProductTimer::KernelCandidate : public TimedChain {
public:
  KernelCandidate(const Device &device, const codegen::Instance &instance, const codegen::Choice &choice,
                  const std::string &name, std::shared_ptr<const Image> image, const Operands &operands,
                  uint64_t weightBytes, uint64_t copies, uint32_t chain)
      : TimedChain(device, name, choice.text(), chain, image) {
    const kernels::LaunchShape shape = instance.family->shape(instance.params, instance.scalars);
    const bool early = instance.family->waitsItself && shape.sharedBytes <= codegen::halfSmShared;
    for (uint32_t launch = 0; launch < chain; ++launch) {
      const auto &args = instance.family->args;
      std::vector<kernels::Scalar> scalars = instance.scalars;
      std::vector<DevicePtr> places(args.size());
      std::vector<void *> arguments;
      size_t scalar = 0;
      for (size_t i = 0; i < args.size(); ++i) {
        if (isScalar(args[i].kind)) {
          arguments.push_back(&scalars[scalar++]);
          continue;
        }
        places[i] = operands.find(args[i].name)->second->address;
        if (args[i].name == "w")
          places[i] += launch % copies * weightBytes;
        arguments.push_back(&places[i]);
      }
      TensorMapStore maps; // a node copies its arguments
      for (const auto &[arg, map] : kernels::tensorMaps(*instance.family, instance.params, instance.scalars, {}))
        arguments.push_back(
            &maps.emplace_back(encode(device.driver(), map, elementType(instance, args[arg]), places[arg], name)));
      const GraphEdge edge{launch - 1, early};
      graph.addKernel({image->function, shape.grid, shape.block, shape.sharedBytes, arguments.data()},
                      launch == 0 ? std::span<const GraphEdge>() : std::span(&edge, 1), name);
    }
    graph.instantiate(name);
  }
};

/// A kernel that is launched behind a product.
struct ProductTimer::Follower {
  Follower(const Device &device, const codegen::Instance &instance, const std::string &name,
           const std::vector<char> &image, DevicePtr from, DevicePtr to)
      : shape(instance.family->shape(instance.params, instance.scalars)),
        loaded(device, image, name, shape.sharedBytes), count(instance.scalars[0]), from(from), to(to) {}
  KernelLaunch launch() { return {loaded.function, shape.grid, shape.block, shape.sharedBytes, arguments}; }

private:
  const kernels::LaunchShape shape;
  const Image loaded;
  kernels::Scalar count;
  DevicePtr from, to;
  void *arguments[3] = {&from, &to, &count};
};

class ProductTimer::LibraryCandidate : public TimedChain {
public:
  /// `follower` may be null.
  LibraryCandidate(const Device &device, const CublasLt &library, size_t plan, size_t rank, const Operands &operands,
                   uint64_t weightBytes, uint64_t copies, uint32_t chain, std::shared_ptr<Follower> follower)
      : TimedChain(device, "cublaslt", "algorithm " + std::to_string(rank), chain, follower) {
    auto at = [&](std::string_view name) { return operands.find(name)->second->address; };
    const std::string name = kernel + ", " + choice;
    GraphEdge edge{0, false};
    std::span<const GraphEdge> edges; // of the node before
    auto next = [&] {
      edge.from = edges.empty() ? 0 : edge.from + 1;
      edges = std::span(&edge, 1);
    };
    for (uint32_t launch = 0; launch < chain; ++launch) {
      graph.addCaptured(
          [&] {
            if (int status =
                    library.run(plan, at("x"), at("w") + launch % copies * weightBytes, at("y"), at("workspace")))
              library.raise(status, "cublasLtMatmul", choice);
          },
          edges, name);
      next();
      if (follower) {
        graph.addKernel(follower->launch(), edges, name);
        next();
      }
    }
    graph.instantiate(name);
  }
};

ProductTimer::ProductTimer(int device, std::string theTarget, int rounds, const std::filesystem::path &cacheDir,
                           bool noCache)
    : target(std::move(theTarget)), rounds(rounds), gpu(Driver::require(), device), staging(gpu), clock(gpu),
      cache(noCache ? codegen::Cache::disabled() : codegen::Cache::open(cacheDir)) {
  std::optional<Arch> arch = parseArch(target);
  if (!arch || !cubinFits(*arch, gpu.arch()))
    fail(Exit::Device, "program " + target + " is not for " + gpu.name() +
                           ": times say something only on its own architecture; compile with --target " +
                           nativeTarget(gpu.arch()));
  std::string reason;
  if (!(nvrtc = codegen::Nvrtc::open(reason)))
    fail(Exit::Device, "tuning compiles kernels, and there is no NVRTC: " + reason);
}

ProductTimer::~ProductTimer() { gpu.bind(); }

std::string ProductTimer::library() const { return blas ? blas->version() : ""; }

void ProductTimer::addLibrary(const codegen::Product &product, int algorithms, Operands &operands, uint64_t copies,
                              uint32_t chain, std::vector<std::unique_ptr<TimedChain>> &candidates) {
  if (algorithms <= 0 || !product.epilogue.empty() || product.norm)
    return;
  if (!blas)
    blas = std::make_unique<CublasLt>(gpu);
  operands["workspace"] = std::make_unique<Operand>(gpu, LibraryWorkspace);
  const GemmShape shape{static_cast<uint64_t>(product.rows), static_cast<uint64_t>(product.columns),
                        static_cast<uint64_t>(product.depth), product.in, product.out};
  std::shared_ptr<Follower> follower;
  if (product.relu2) {
    const kernels::Family &family = *codegen::findFamily("relu2");
    const uint64_t outputs = kernels::elementCount(product.rows, product.columns);
    if (outputs > INT32_MAX)
      fail(Exit::Usage, std::to_string(product.rows) + " x " + std::to_string(product.columns) +
                            " outputs are more than relu2 counts, 2^31 - 1; take a smaller product");
    const codegen::Instance instance{
        &family, {{{"T", static_cast<int64_t>(product.out)}}}, {{.i = static_cast<int32_t>(outputs)}}};
    const std::string name = codegen::kernelName(family, instance.params);
    operands["activated"] = std::make_unique<Operand>(gpu, kernels::elementCount(outputs, sizeOf(product.out)));
    follower = std::make_shared<Follower>(
        gpu, instance, name, cache.compile(*nvrtc, name, codegen::instantiate(family, instance.params), target),
        operands["y"]->address, operands["activated"]->address);
  }
  const std::vector<size_t> plans = blas->plans(shape, LibraryWorkspace, algorithms);
  for (size_t i = 0; i < plans.size(); ++i)
    candidates.push_back(std::make_unique<LibraryCandidate>(
        gpu, *blas, plans[i], i, operands, shape.n * shape.k * sizeOf(product.in), copies, chain, follower));
}

std::vector<ProductTimer::Time> ProductTimer::time(const codegen::Product &product, int libraryAlgorithms,
                                                   const std::function<void(const std::string &)> &refused) {
  gpu.makeCurrent();
  const std::vector<codegen::Choice> choices = codegen::choicesFor(product, target);
  std::vector<codegen::Instance> instances;
  for (const codegen::Choice &choice : choices) {
    std::string why;
    instances.push_back(*codegen::instanceOf(codegen::problemOf(product), choice, target, why));
  }

  const uint64_t weightBytes = kernels::elementCount(product.columns, product.depth, sizeOf(product.in));
  const uint64_t copies = std::clamp<uint64_t>((ColdBytes + weightBytes - 1) / weightBytes, 1, LongestChain);
  const auto chain = static_cast<uint32_t>(std::max<uint64_t>(copies, ShortestChain));
  std::map<std::string_view, uint64_t> bytes;
  for (const codegen::Instance &instance : instances) {
    const auto extents =
        instance.family->extents(instance.params, instance.scalars, {static_cast<uint64_t>(product.rows), 1, 1, 1});
    size_t buffer = 0;
    for (const kernels::ArgDecl &arg : instance.family->args)
      if (!isScalar(arg.kind)) {
        uint64_t &most = bytes[arg.name];
        most = std::max(most, extents[buffer++] * sizeOf(elementType(instance, arg)));
      }
  }
  bytes["w"] = weightBytes * copies;
  Operands operands;
  for (auto [name, size] : bytes)
    operands[std::string(name)] =
        name == "counters" ? std::make_unique<Operand>(gpu, size) : std::make_unique<Operand>(gpu, staging, size);

  // One that does not compile or load is no reason to lose the others.
  std::vector<std::unique_ptr<TimedChain>> candidates;
  const std::vector<std::vector<char>> images = compile(instances, refused);
  for (size_t i = 0; i < instances.size(); ++i)
    if (!images[i].empty())
      try {
        const std::string name = codegen::kernelName(*instances[i].family, instances[i].params);
        const uint32_t shared = instances[i].family->shape(instances[i].params, instances[i].scalars).sharedBytes;
        candidates.push_back(std::make_unique<KernelCandidate>(
            gpu, instances[i], choices[i], name, std::make_shared<const Image>(gpu, images[i], name, shared), operands,
            weightBytes, copies, chain));
      } catch (const Error &error) {
        refused(error.what());
      }
  addLibrary(product, libraryAlgorithms, operands, copies, chain, candidates);
  takeTurns(candidates, clock, rounds);

  std::vector<Time> result;
  for (const auto &candidate : candidates)
    result.push_back({candidate->kernel, candidate->choice, candidate->us()});
  return result;
}

std::vector<std::vector<char>> ProductTimer::compile(const std::vector<codegen::Instance> &instances,
                                                     const std::function<void(const std::string &)> &refused) {
  std::vector<codegen::CompileJob> jobs;
  for (const codegen::Instance &instance : instances)
    jobs.push_back({codegen::kernelName(*instance.family, instance.params),
                    codegen::instantiate(*instance.family, instance.params)});
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
