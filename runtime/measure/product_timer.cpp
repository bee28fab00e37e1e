#include "runtime/measure/product_timer.h"

#include "codegen/Instantiate.h"
#include "runtime/base/error.h"

namespace nanort::cuda {

static constexpr uint64_t libraryWorkspace = 32 << 20;

/// A kernel that is launched before a product or behind it.
class ProductTimer::PartLaunch {
public:
  /// The buffers of `part` in order, then its one scalar.
  PartLaunch(Workbench &bench, const Candidate &part, std::vector<DevicePtr> buffers)
      : PartLaunch(bench, part, part.instance.kernel->instanceName(part.instance.params), std::move(buffers)) {}
  KernelLaunch launch() { return {loaded.function, grid, block, shape.sharedBytes, arguments.data()}; }

private:
  PartLaunch(Workbench &bench, const Candidate &part, const std::string &name, std::vector<DevicePtr> theBuffers)
      : shape(part.instance.shape()),
        loaded(bench.gpu,
               bench.cache.compile(*bench.nvrtc, name,
                                   codegen::instantiate(*part.instance.kernel, part.instance.params).text(),
                                   bench.target),
               name, shape.sharedBytes),
        buffers(std::move(theBuffers)), count(part.scalars[0]) {
    for (DevicePtr &buffer : buffers)
      arguments.push_back(&buffer);
    arguments.push_back(&count);
  }

  const kernels::LaunchShape shape;
  const uint32_t grid[3] = {shape.blocks, 1, 1}, block[3] = {shape.threads, 1, 1};
  const Image loaded;
  std::vector<DevicePtr> buffers;
  kernels::Scalar count;
  std::vector<void *> arguments;
};

/// What is launched with the library's product in place of what a kernel has fused, the same for all its algorithms.
struct ProductTimer::UnfusedParts {
  std::unique_ptr<PartLaunch> before, behind; // null: none
  DevicePtr x;                                // what the product reads
};

class ProductTimer::LibraryChain : public TimedChain {
public:
  LibraryChain(const Device &device, const CublasLt &library, size_t plan, size_t rank, const ChainData &data,
               const std::shared_ptr<UnfusedParts> &parts)
      : TimedChain(device, "cublaslt", "cublaslt version=" + library.version() + " algorithm=" + std::to_string(rank),
                   data.launches, parts) {
    auto at = [&](std::string_view name) { return data.operands.find(name)->second->address; };
    const uint64_t stride = data.strides.find("w")->second;
    const std::string name = kernel + ", " + choice;
    GraphEdge edge{0, false};
    std::span<const GraphEdge> edges; // of the node before
    auto next = [&] {
      edge.from = edges.empty() ? 0 : edge.from + 1;
      edges = std::span(&edge, 1);
    };
    auto addPart = [&](PartLaunch *part) {
      if (!part)
        return;
      graph.addKernel(part->launch(), edges, name);
      next();
    };
    for (uint32_t launch = 0; launch < launches; ++launch) {
      addPart(parts->before.get());
      graph.addCaptured(
          [&] {
            if (int status =
                    library.run(plan, parts->x, at("w") + launch % data.copies * stride, at("y"), at("workspace")))
              library.raise(status, "cublasLtMatmul", choice);
          },
          edges, name);
      next();
      addPart(parts->behind.get());
    }
    graph.instantiate(name);
  }
};

ProductTimer::~ProductTimer() { bench.gpu.bind(); }

std::shared_ptr<ProductTimer::UnfusedParts> ProductTimer::unfusedParts(const codegen::Problem &product,
                                                                       ChainData &data) {
  auto &operands = data.operands;
  auto parts = std::make_shared<UnfusedParts>();
  parts->x = operands["x"]->address;
  // A meaning that one engine serves.
  auto partOf = [&](const codegen::Problem &problem) { return candidatesFor(problem, bench.target).front(); };
  const kernels::Values &values = product.values;
  if (values["norm"] != 0) {
    operands["normed"] = std::make_unique<Operand>(
        bench.gpu, bytesOf(values.type("T"), kernels::elementCount(values.count("n"), values.count("K"))));
    const DevicePtr normed = operands["normed"]->address;
    parts->before = std::make_unique<PartLaunch>(
        bench, partOf({"rms_norm", {{"T", values["T"]}, {"width", values["K"]}, {"n", values["n"]}}}),
        std::vector{parts->x, normed});
    parts->x = normed;
  }
  const bool adds = product.meaning == "product_add";
  if (!adds && product.meaning != "product_relu2")
    return parts;
  const std::string behind = adds ? "add" : "relu2";
  const uint64_t outputs = kernels::elementCount(values.count("n"), values.count("N"));
  if (outputs > INT32_MAX)
    fail(Exit::Usage, std::to_string(values["n"]) + " x " + std::to_string(values["N"]) + " outputs are more than " +
                          behind + " counts, 2^31 - 1; take a smaller product");
  operands["result"] = std::make_unique<Operand>(bench.gpu, bytesOf(values.type("O"), outputs));
  std::vector<DevicePtr> buffers = {operands["y"]->address};
  if (adds)
    buffers.push_back(operands["r"]->address);
  buffers.push_back(operands["result"]->address);
  parts->behind = std::make_unique<PartLaunch>(
      bench, partOf({behind, {{"T", values["O"]}, {"count", static_cast<int64_t>(outputs)}}}), std::move(buffers));
  return parts;
}

void ProductTimer::addLibrary(const codegen::Problem &product, int algorithms, ChainData &data,
                              std::vector<std::unique_ptr<TimedChain>> &chains) {
  if (algorithms <= 0 ||
      (product.meaning != "product" && product.meaning != "product_add" && product.meaning != "product_relu2"))
    return;
  if (!blas)
    blas = std::make_unique<CublasLt>(bench.gpu);
  data.operands["workspace"] = std::make_unique<Operand>(bench.gpu, libraryWorkspace);
  const kernels::Values &values = product.values;
  const GemmShape shape{values.count("n"), values.count("N"), values.count("K"), values.type("T"), values.type("O")};
  const std::shared_ptr<UnfusedParts> parts = unfusedParts(product, data);
  const std::vector<size_t> plans = blas->plans(shape, libraryWorkspace, algorithms);
  for (size_t i = 0; i < plans.size(); ++i)
    chains.push_back(std::make_unique<LibraryChain>(bench.gpu, *blas, plans[i], i, data, parts));
}

std::vector<KernelTime> ProductTimer::time(const codegen::Problem &product, int libraryAlgorithms,
                                           const Refused &refused) {
  bench.gpu.makeCurrent();
  const std::vector<Candidate> candidates = candidatesFor(product, bench.target);
  ChainData data = bench.data(candidates, {product.values.count("n"), 1, 1, 1}, {"w"});
  auto chains = bench.chains(candidates, data, /*early=*/true, refused);
  addLibrary(product, libraryAlgorithms, data, chains);
  return bench.times(chains);
}

} // namespace nanort::cuda
