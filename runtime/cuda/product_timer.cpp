#include "runtime/cuda/product_timer.h"

#include "codegen/Instantiate.h"
#include "codegen/Nvrtc.h"
#include "codegen/Registry.h"
#include "runtime/base/error.h"

namespace nanort::cuda {

static constexpr uint64_t LibraryWorkspace = 32 << 20;

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

class ProductTimer::LibraryChain : public TimedChain {
public:
  /// `follower` may be null.
  LibraryChain(const Device &device, const CublasLt &library, size_t plan, size_t rank, const ChainData &data,
               std::shared_ptr<Follower> follower)
      : TimedChain(device, "cublaslt", "algorithm " + std::to_string(rank), data.launches, follower) {
    auto at = [&](std::string_view name) { return data.operands.find(name)->second->address; };
    const uint64_t stride = data.strides.find("w")->second;
    const std::string name = kernel + ", " + choice;
    GraphEdge edge{0, false};
    std::span<const GraphEdge> edges; // of the node before
    auto next = [&] {
      edge.from = edges.empty() ? 0 : edge.from + 1;
      edges = std::span(&edge, 1);
    };
    for (uint32_t launch = 0; launch < launches; ++launch) {
      graph.addCaptured(
          [&] {
            if (int status =
                    library.run(plan, at("x"), at("w") + launch % data.copies * stride, at("y"), at("workspace")))
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

ProductTimer::~ProductTimer() { bench.gpu.bind(); }

std::string ProductTimer::library() const { return blas ? blas->version() : ""; }

void ProductTimer::addLibrary(const codegen::Product &product, int algorithms, ChainData &data,
                              std::vector<std::unique_ptr<TimedChain>> &chains) {
  if (algorithms <= 0 || !product.epilogue.empty() || product.norm)
    return;
  if (!blas)
    blas = std::make_unique<CublasLt>(bench.gpu);
  auto &operands = data.operands;
  operands["workspace"] = std::make_unique<Operand>(bench.gpu, LibraryWorkspace);
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
    operands["activated"] = std::make_unique<Operand>(bench.gpu, kernels::elementCount(outputs, sizeOf(product.out)));
    follower = std::make_shared<Follower>(
        bench.gpu, instance, name,
        bench.cache.compile(*bench.nvrtc, name, codegen::instantiate(family, instance.params), bench.target),
        operands["y"]->address, operands["activated"]->address);
  }
  const std::vector<size_t> plans = blas->plans(shape, LibraryWorkspace, algorithms);
  for (size_t i = 0; i < plans.size(); ++i)
    chains.push_back(std::make_unique<LibraryChain>(bench.gpu, *blas, plans[i], i, data, follower));
}

std::vector<KernelTime> ProductTimer::time(const codegen::Product &product, int libraryAlgorithms,
                                           const Refused &refused) {
  bench.gpu.makeCurrent();
  const std::vector<Candidate> candidates = candidatesFor(product, bench.target);
  ChainData data = bench.data(candidates, {static_cast<uint64_t>(product.rows), 1, 1, 1}, {"w"});
  auto chains = bench.chains(candidates, data, /*early=*/true, refused);
  addLibrary(product, libraryAlgorithms, data, chains);
  return bench.times(chains);
}

} // namespace nanort::cuda
