#include "runtime/cuda/cublaslt.h"

#include "codegen/Choices.h"
#include "runtime/base/library.h"

#include <algorithm>

namespace nanort::cuda {

namespace {

// The values of cublasLt.h and library_types.h that are used.
constexpr int compute32F = 68; // plain f32 arithmetic: TF32 has values of its own
constexpr int real32F = kernels::infoOf(kernels::DType::F32).cudaType; // of alpha and beta
constexpr int descTransA = 3;
constexpr int preferWorkspaceBytes = 1, preferReductionSchemes = 3;
constexpr int32_t transpose = 1;
// Partial sums of a split K may only be reduced in the compute type (f32): in place the order depends on timing, and in
// the output type bf16 would be rounded more than once.
constexpr uint32_t reduceInComputeType = 2;

struct Algorithm {
  uint64_t words[8];
};
struct Heuristic {
  Algorithm algorithm;
  size_t workspaceBytes;
  int status;
  float waves;
  int reserved[4];
};

std::string text(const GemmShape &shape) {
  return "matrix product " + std::to_string(shape.tokens) + "x" + std::to_string(shape.n) + "x" +
         std::to_string(shape.k) + " (" + std::string(nameOf(shape.in)) + " to " + std::string(nameOf(shape.out)) + ")";
}

std::vector<std::string> libraryNames(int driverVersion) {
  std::vector<std::string> names;
  for (int major = std::min(driverVersion / 1000, 13); major >= 12; --major)
    names.push_back("libcublasLt.so." + std::to_string(major));
  return names;
}

LibrarySearch searchFor(int driverVersion) {
  return {"cuBLASLt", "NANORT_CUBLASLT", libraryNames(driverVersion), {"cublas/lib", "cu13/lib"}};
}

} // namespace

#define NANO_CUBLASLT_FUNCTIONS(X)                                                                                     \
  X(cublasLtGetVersion, size_t, ())                                                                                    \
  X(cublasLtGetStatusString, const char *, (int status))                                                               \
  X(cublasLtCreate, int, (void **handle))                                                                              \
  X(cublasLtDestroy, int, (void *handle))                                                                              \
  X(cublasLtMatmulDescCreate, int, (void **operation, int computeType, int scaleType))                                 \
  X(cublasLtMatmulDescDestroy, int, (void *operation))                                                                 \
  X(cublasLtMatmulDescSetAttribute, int, (void *operation, int attribute, const void *value, size_t bytes))            \
  X(cublasLtMatrixLayoutCreate, int, (void **layout, int type, uint64_t rows, uint64_t columns, int64_t stride))       \
  X(cublasLtMatrixLayoutDestroy, int, (void *layout))                                                                  \
  X(cublasLtMatmulPreferenceCreate, int, (void **preference))                                                          \
  X(cublasLtMatmulPreferenceDestroy, int, (void *preference))                                                          \
  X(cublasLtMatmulPreferenceSetAttribute, int, (void *preference, int attribute, const void *value, size_t bytes))     \
  X(cublasLtMatmulAlgoGetHeuristic, int,                                                                               \
    (void *handle, void *operation, void *a, void *b, void *c, void *d, void *preference, int wanted,                  \
     Heuristic *results, int *found))                                                                                  \
  X(cublasLtMatmul, int,                                                                                               \
    (void *handle, void *operation, const void *alpha, const void *a, void *aLayout, const void *b, void *bLayout,     \
     const void *beta, const void *c, void *cLayout, void *d, void *dLayout, const Algorithm *algorithm,               \
     void *workspace, size_t workspaceBytes, Stream stream))

struct CublasLt::Api {
#define X(name, type, arguments) type(*name) arguments = nullptr;
  NANO_CUBLASLT_FUNCTIONS(X)
#undef X
};

struct CublasLt::Product {
  GemmShape shape;
  uint64_t workspaceLimit = 0;
  uint32_t rank = 0; // of the algorithm asked for, and its index
  size_t chosen = 0;
  void *operation = nullptr, *weights = nullptr, *input = nullptr, *output = nullptr;
};

struct CublasLt::Planned {
  size_t product;
  Algorithm algorithm;
  size_t workspaceBytes;
};

std::string findCublasLt(int driverVersion) { return findLibrary(searchFor(driverVersion)).path; }

CublasLt::CublasLt(const Device &device) : device(device), api(std::make_unique<Api>()) {
  OpenedLibrary opened = findLibrary(searchFor(device.driver().version()));
  library = opened.path;
#define X(name, type, arguments) opened.bind(#name, api->name);
  NANO_CUBLASLT_FUNCTIONS(X)
#undef X
  check(api->cublasLtCreate(&handle), "cublasLtCreate", library);
}

CublasLt::~CublasLt() {
  for (Product &product : products)
    destroy(product);
  api->cublasLtDestroy(handle);
}

void CublasLt::destroy(Product &product) {
  for (void *layout : {product.weights, product.input, product.output})
    if (layout)
      api->cublasLtMatrixLayoutDestroy(layout);
  if (product.operation)
    api->cublasLtMatmulDescDestroy(product.operation);
}

void CublasLt::raise(int status, const char *call, const std::string &thing) const {
  fail(Exit::Cuda, thing + ": " + call + ": " + api->cublasLtGetStatusString(status));
}

std::string CublasLt::version() const {
  size_t version = api->cublasLtGetVersion(); // 130100 for 13.1.0; 120805 for 12.8.5
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

size_t CublasLt::plan(const GemmShape &shape, uint64_t workspaceBytes, uint32_t rank) {
  auto known = std::find_if(products.begin(), products.end(), [&](const Product &product) {
    return product.shape == shape && product.workspaceLimit == workspaceBytes && product.rank == rank;
  });
  if (known != products.end())
    return known->chosen;

  // A rank is one among as many as were measured.
  const std::vector<size_t> offered = add(shape, workspaceBytes, rank == 0 ? 1 : codegen::libraryAlgorithms);
  products.back().rank = rank;
  return products.back().chosen = rank < offered.size() ? offered[rank] : offered.front();
}

std::vector<size_t> CublasLt::plans(const GemmShape &shape, uint64_t workspaceBytes, int most) {
  return add(shape, workspaceBytes, most);
}

std::vector<size_t> CublasLt::add(const GemmShape &shape, uint64_t workspaceBytes, int most) {
  products.push_back({shape, workspaceBytes});
  try {
    return choose(products.back(), most);
  } catch (...) {
    destroy(products.back());
    products.pop_back();
    throw;
  }
}

std::vector<size_t> CublasLt::choose(Product &product, int most) {
  const GemmShape &shape = product.shape;
  const uint64_t workspaceBytes = product.workspaceLimit;
  // The library is column-major, where a row-major matrix reads as its transpose: y^T[n, tokens] = (w^T)^T * x^T.
  std::string thing = text(shape);
  check(api->cublasLtMatmulDescCreate(&product.operation, compute32F, real32F), "cublasLtMatmulDescCreate", thing);
  check(api->cublasLtMatmulDescSetAttribute(product.operation, descTransA, &transpose, sizeof transpose),
        "cublasLtMatmulDescSetAttribute", thing);
  auto layout = [&](void **out, kernels::DType type, uint64_t rows, uint64_t columns) {
    check(api->cublasLtMatrixLayoutCreate(out, infoOf(type).cudaType, rows, columns, static_cast<int64_t>(rows)),
          "cublasLtMatrixLayoutCreate", thing);
  };
  layout(&product.weights, shape.in, shape.k, shape.n);
  layout(&product.input, shape.in, shape.k, shape.tokens);
  layout(&product.output, shape.out, shape.n, shape.tokens);

  void *preference = nullptr;
  check(api->cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate", thing);
  std::unique_ptr<void, int (*)(void *)> owner(preference, api->cublasLtMatmulPreferenceDestroy);
  check(api->cublasLtMatmulPreferenceSetAttribute(preference, preferWorkspaceBytes, &workspaceBytes,
                                                  sizeof workspaceBytes),
        "cublasLtMatmulPreferenceSetAttribute", thing);
  check(api->cublasLtMatmulPreferenceSetAttribute(preference, preferReductionSchemes, &reduceInComputeType,
                                                  sizeof reduceInComputeType),
        "cublasLtMatmulPreferenceSetAttribute", thing);

  std::vector<Heuristic> best(most);
  int found = 0;
  check(api->cublasLtMatmulAlgoGetHeuristic(handle, product.operation, product.weights, product.input, product.output,
                                            product.output, preference, most, best.data(), &found),
        "cublasLtMatmulAlgoGetHeuristic", thing);
  std::vector<size_t> indices;
  for (int i = 0; i < found; ++i) {
    if (best[i].status != 0 && found == 1)
      check(best[i].status, "cublasLtMatmulAlgoGetHeuristic", thing);
    if (best[i].status != 0)
      continue;
    indices.push_back(planned.size());
    planned.push_back({products.size() - 1, best[i].algorithm, best[i].workspaceBytes});
  }
  if (indices.empty())
    fail(Exit::Cuda, thing + ": cuBLASLt " + version() + " has no algorithm within " + std::to_string(workspaceBytes) +
                         " bytes of workspace");
  return indices;
}

int CublasLt::run(size_t plan, DevicePtr x, DevicePtr w, DevicePtr y, DevicePtr workspace) const {
  const Planned &choice = planned[plan];
  const Product &product = products[choice.product];
  const float one = 1, zero = 0;
  auto pointer = [](DevicePtr address) { return reinterpret_cast<void *>(address); };
  return api->cublasLtMatmul(handle, product.operation, &one, pointer(w), product.weights, pointer(x), product.input,
                             &zero, pointer(y), product.output, pointer(y), product.output, &choice.algorithm,
                             pointer(workspace), choice.workspaceBytes, device.stream());
}

} // namespace nanort::cuda
