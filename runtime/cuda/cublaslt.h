// Matrix products by cuBLASLt, opened with dlopen only if a program has Gemm nodes.
#pragma once

#include "kernels_templates/base/dtype.h"
#include "runtime/cuda/device.h"

#include <memory>
#include <string>
#include <vector>

namespace nanort::cuda {

/// y[tokens, n] = x[tokens, k] * w[n, k]^T, all row-major and dense. x and w have dtype `in`.
struct GemmShape {
  uint64_t tokens = 0, n = 0, k = 0;
  kernels::DType in = kernels::DType::F32, out = kernels::DType::F32;

  bool operator==(const GemmShape &) const = default;
};

class CublasLt {
public:
  /// Looks for the library of the driver's major version or an older one in $NANORT_CUBLASLT (a file), installed NVIDIA
  /// wheels, $CUDA_HOME, /usr/local/cuda, then the system's path. The device's context must be current. Errors:
  /// Exit::Device if there is no library, with where it was looked for; Exit::Cuda if it does not start.
  explicit CublasLt(const Device &device);
  ~CublasLt();
  CublasLt(const CublasLt &) = delete;
  CublasLt &operator=(const CublasLt &) = delete;

  std::string version() const; // "13.1.0"
  const std::string &path() const { return library; }

  /// Index of the algorithm for a shape: the library's first choice within `workspaceBytes` among those that give the
  /// same bits every time, asked for once. f32 accumulates in f32 without TF32; bf16 accumulates in f32 and rounds
  /// once. `rank` > 0: the one that it ranks there, below codegen::libraryAlgorithms; the first if it has fewer.
  size_t plan(const GemmShape &shape, uint64_t workspaceBytes, uint32_t rank = 0);
  /// The first `most` of them, as the library ranks them; for measurements.
  std::vector<size_t> plans(const GemmShape &shape, uint64_t workspaceBytes, int most);
  /// Enqueues a planned product. Returns the library's status, 0 for success: see raise().
  [[nodiscard]] int run(size_t plan, DevicePtr x, DevicePtr w, DevicePtr y, DevicePtr workspace) const;
  [[noreturn]] void raise(int status, const char *call, const std::string &thing) const;

private:
  struct Api;
  struct Product;
  struct Planned;
  /// The library's first choices for a product, which becomes the last one; at most `most`.
  std::vector<size_t> add(const GemmShape &shape, uint64_t workspaceBytes, int most);
  std::vector<size_t> choose(Product &product, int most);
  void destroy(Product &product);
  void check(int status, const char *call, const std::string &thing) const {
    if (status != 0)
      raise(status, call, thing);
  }

  const Device &device;
  std::unique_ptr<Api> api;
  std::string library;
  void *handle = nullptr; // cublasLtHandle_t
  std::vector<Product> products;
  std::vector<Planned> planned;
};

/// What CublasLt would open for a driver of this version (13000), without starting it; Exit::Device if there is none.
std::string findCublasLt(int driverVersion);

} // namespace nanort::cuda
