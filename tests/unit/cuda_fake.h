// A CUDA driver, an NVRTC and a cuBLASLt without a device: host memory for device memory, and a record of what was
// asked for. The library cuda_fake.cpp is opened in place of libcuda (NANORT_CUDA_DRIVER), libcublasLt
// (NANORT_CUBLASLT) and libnvrtc (NANORT_NVRTC).
#pragma once

#include <cstddef>
#include <cstdint>
#include <dlfcn.h>
#include <map>
#include <string>
#include <vector>

struct FakeCuda {
  // What it claims to be.
  int driverVersion = 13000, devices = 1, major = 9, minor = 0, sharedBytes = 227 << 10;
  size_t memory = size_t{1} << 30;
  // What fails: a CUresult, or -1 in a call's place.
  int initResult = 0, launchResult = 0, synchronizeResult = 0, graphNodeResult = 0, graphLaunchResult = 0;
  int registers = 32;  // of every kernel, per thread
  int queryResult = 0; // of cuStreamQuery

  struct Launch {
    std::string kernel;
    unsigned grid[3], block[3], sharedBytes;
    std::vector<uint64_t> arguments; // zero-extended
    uint64_t stamps = 0;             // of a timed kernel: where its times go
  };
  struct Product {
    int transposeA, typeA, typeC;
    uint64_t rowsA, columnsA, columnsB, rowsC, columnsC;
    uint64_t a, b, c;
    uint64_t workspaceLimit;
    uint32_t reductions;
    uint64_t algorithm; // as the heuristic ranks it; it has four
  };
  /// A node of a graph: a kernel, products captured as a child graph, or a loop.
  struct Node {
    Launch kernel; // its name is empty for a child and for a loop
    std::vector<Product> products = {};
    std::vector<size_t> after = {};
    bool programmatic = false;
    uint64_t condition = 0;      // of a loop: its handle
    std::vector<Node> body = {}; // of a loop, as it is when the graph is instantiated
  };
  struct TensorMap {
    int type, interleave, swizzle, fill;
    uint64_t base;
    std::vector<uint64_t> extents, strides;
    std::vector<uint32_t> box;
  };
  std::vector<TensorMap> maps;                // as encoded; an image's first word is its index
  void (*onLaunch)(const Launch &) = nullptr; // stands for what a kernel does
  std::map<void *, size_t> device, host;      // live allocations
  std::vector<size_t> allocations;            // of device memory, in order
  std::vector<Launch> launches;
  std::vector<Product> products;
  std::vector<std::vector<Node>> graphs;       // as instantiated, in order
  std::vector<std::pair<uint64_t, int>> fills; // bytes, value
  std::vector<size_t> copies;                  // to the device, in bytes
  std::map<std::string, int> sharedAttribute;  // by kernel
  std::vector<unsigned> hostFlags;             // of cuMemHostAlloc
  std::vector<std::string> compiled;           // sources that its NVRTC got, in any order
  int contexts = 0, streams = 0, events = 0, modules = 0, handles = 0, heuristics = 0, largestCopy = 0;
  int liveGraphs = 0, liveExecs = 0, uploads = 0, graphLaunches = 0, synchronizations = 0;
  uint64_t conditions = 0; // handles made: 1, 2, ...
  uint64_t clock = 1;      // nanoseconds; a timed kernel takes 1,000
};

/// Exported by the library under this name.
using FakeCudaState = FakeCuda *(*)();
inline constexpr const char *fakeCudaStateName = "fakeCudaState";
/// Of the library under this path.
inline FakeCuda &fakeCuda(const char *path) {
  static auto state = reinterpret_cast<FakeCudaState>(dlsym(dlopen(path, RTLD_NOW), fakeCudaStateName));
  return *state();
}

/// An image for the fake's cuModuleLoadData: one letter per kernel argument, b (8 bytes), s (4 bytes), m (a
/// tensor map) or t (8 bytes, and the kernel writes its times there).
inline std::string fakeImage(const std::string &arguments) { return "fake:" + arguments; }
