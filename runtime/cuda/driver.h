// The CUDA driver API without a link-time dependency: libcuda.so.1 is opened when a plan needs it.
#pragma once

#include "runtime/base/error.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace nanort::cuda {

using Result = int; // CUresult
using DevicePtr = unsigned long long;
using Context = struct ContextTag *;
using Stream = struct StreamTag *;
using Event = struct EventTag *;
using Module = struct ModuleTag *;
using Function = struct FunctionTag *;
using GraphHandle = struct GraphTag *; // CUgraph
using GraphNode = struct GraphNodeTag *;
using GraphExec = struct GraphExecTag *;

// The values of cuda.h that this project uses.
inline constexpr Result success = 0;
inline constexpr Result outOfMemory = 2;
inline constexpr int attributeComputeMajor = 75;
inline constexpr int attributeComputeMinor = 76;
inline constexpr int attributeMaxSharedBytesOptin = 97;
inline constexpr int functionRegisters = 4;
inline constexpr int functionMaxDynamicSharedBytes = 8;
inline constexpr int functionSharedCarveout = 9; // percent
inline constexpr unsigned streamNonBlocking = 1;
inline constexpr unsigned eventDisableTiming = 2;
inline constexpr int captureRelaxed = 2; // a library may load its kernels during the capture
inline constexpr unsigned hostPortable = 1, hostMapped = 2;
inline constexpr Result notReady = 600;
inline constexpr int nodeKernel = 0, nodeConditional = 13;
inline constexpr int conditionWhile = 1;
inline constexpr unsigned conditionAssignDefault = 1;
inline constexpr unsigned char programmaticPort = 1, programmaticEdge = 1;

/// CUDA_KERNEL_NODE_PARAMS, which its versions 2 and 3 share.
struct KernelNodeParams {
  Function function;
  unsigned grid[3], block[3];
  unsigned sharedBytes;
  void **arguments;
  void **extra;
  void *kernel;
  Context context;
};

/// CUDA_CONDITIONAL_NODE_PARAMS: the driver makes `size` graphs and points `bodies` at their handles.
struct ConditionalNodeParams {
  unsigned long long handle;
  int type;
  unsigned size;
  GraphHandle *bodies;
  Context context;
};

/// CUgraphNodeParams with the kinds of node that need it.
struct GraphNodeParams {
  int type;
  int reserved0[3];
  union {
    long long reserved1[29];
    KernelNodeParams kernel;
    ConditionalNodeParams conditional;
  };
  long long reserved2;
};
static_assert(sizeof(KernelNodeParams) == 72 && sizeof(ConditionalNodeParams) == 32 && sizeof(GraphNodeParams) == 256);

/// CUgraphEdgeData.
struct GraphEdgeData {
  unsigned char fromPort, toPort, type, reserved[5];
};

/// Every entry point that is used, with its signature. The names are those of cuda.h without version suffix:
/// cuGetProcAddress resolves them to the signature of the version that is asked for.
#define NANO_CUDA_DRIVER_FUNCTIONS(X)                                                                                  \
  X(cuInit, (unsigned flags))                                                                                          \
  X(cuDriverGetVersion, (int *version))                                                                                \
  X(cuGetErrorName, (Result error, const char **text))                                                                 \
  X(cuGetErrorString, (Result error, const char **text))                                                               \
  X(cuDeviceGetCount, (int *count))                                                                                    \
  X(cuDeviceGet, (int *device, int ordinal))                                                                           \
  X(cuDeviceGetName, (char *name, int length, int device))                                                             \
  X(cuDeviceGetAttribute, (int *value, int attribute, int device))                                                     \
  X(cuDeviceTotalMem, (size_t * bytes, int device))                                                                    \
  X(cuDevicePrimaryCtxRetain, (Context * context, int device))                                                         \
  X(cuDevicePrimaryCtxRelease, (int device))                                                                           \
  X(cuCtxSetCurrent, (Context context))                                                                                \
  X(cuMemGetInfo, (size_t * free, size_t * total))                                                                     \
  X(cuMemAlloc, (DevicePtr * address, size_t bytes))                                                                   \
  X(cuMemFree, (DevicePtr address))                                                                                    \
  X(cuMemHostAlloc, (void **address, size_t bytes, unsigned flags))                                                    \
  X(cuMemHostGetDevicePointer, (DevicePtr * address, void *host, unsigned flags))                                      \
  X(cuMemFreeHost, (void *address))                                                                                    \
  X(cuMemsetD8Async, (DevicePtr address, unsigned char value, size_t bytes, Stream stream))                            \
  X(cuMemcpyHtoDAsync, (DevicePtr to, const void *from, size_t bytes, Stream stream))                                  \
  X(cuMemcpyDtoHAsync, (void *to, DevicePtr from, size_t bytes, Stream stream))                                        \
  X(cuStreamCreate, (Stream * stream, unsigned flags))                                                                 \
  X(cuStreamDestroy, (Stream stream))                                                                                  \
  X(cuStreamQuery, (Stream stream))                                                                                    \
  X(cuStreamSynchronize, (Stream stream))                                                                              \
  X(cuEventCreate, (Event * event, unsigned flags))                                                                    \
  X(cuEventDestroy, (Event event))                                                                                     \
  X(cuEventRecord, (Event event, Stream stream))                                                                       \
  X(cuEventSynchronize, (Event event))                                                                                 \
  X(cuEventElapsedTime, (float *milliseconds, Event from, Event to))                                                   \
  X(cuModuleLoadData, (Module * module, const void *image))                                                            \
  X(cuModuleUnload, (Module module))                                                                                   \
  X(cuModuleGetFunction, (Function * function, Module module, const char *name))                                       \
  X(cuFuncSetAttribute, (Function function, int attribute, int value))                                                 \
  X(cuFuncGetAttribute, (int *value, int attribute, Function function))                                                \
  X(cuStreamBeginCapture, (Stream stream, int mode))                                                                   \
  X(cuStreamEndCapture, (Stream stream, GraphHandle * graph))                                                          \
  X(cuGraphCreate, (GraphHandle * graph, unsigned flags))                                                              \
  X(cuGraphDestroy, (GraphHandle graph))                                                                               \
  X(cuGraphAddKernelNode, (GraphNode * node, GraphHandle graph, const GraphNode *dependencies, size_t count,           \
                           const KernelNodeParams *params))                                                            \
  X(cuGraphAddChildGraphNode,                                                                                          \
    (GraphNode * node, GraphHandle graph, const GraphNode *dependencies, size_t count, GraphHandle child))             \
  X(cuGraphInstantiateWithFlags, (GraphExec * exec, GraphHandle graph, unsigned long long flags))                      \
  X(cuGraphUpload, (GraphExec exec, Stream stream))                                                                    \
  X(cuGraphLaunch, (GraphExec exec, Stream stream))                                                                    \
  X(cuGraphExecDestroy, (GraphExec exec))                                                                              \
  X(cuTensorMapEncodeTiled,                                                                                            \
    (void *map, int type, unsigned rank, DevicePtr base, const uint64_t *extents, const uint64_t *strides,             \
     const uint32_t *box, const uint32_t *elementStrides, int interleave, int swizzle, int l2Promotion, int fill))     \
  X(cuLaunchKernel,                                                                                                    \
    (Function function, unsigned gridX, unsigned gridY, unsigned gridZ, unsigned blockX, unsigned blockY,              \
     unsigned blockZ, unsigned sharedBytes, Stream stream, void **arguments, void **extra))

/// The opened driver, initialised. Stays loaded for the life of the process: libcuda does not survive being unloaded.
class Driver {
public:
  /// $NANORT_CUDA_DRIVER (a file) or libcuda.so.1 on the system's path; version 12.0 or newer. Null if there is none or
  /// it finds no device; `why` then says what was tried and what it answered, in one line.
  static std::shared_ptr<const Driver> open(std::string &why);
  /// As open, but Exit::Device with `why`.
  static std::shared_ptr<const Driver> require();

#define X(name, arguments) Result(*name) arguments = nullptr;
  NANO_CUDA_DRIVER_FUNCTIONS(X)
#undef X
  /// With edge data; null where the driver is older than 13.0, whose entry point of this name takes none.
  Result (*cuGraphAddNode)(GraphNode *node, GraphHandle graph, const GraphNode *dependencies,
                           const GraphEdgeData *edges, size_t count, GraphNodeParams *params) = nullptr;
  /// Null with it.
  Result (*cuGraphConditionalHandleCreate)(unsigned long long *handle, GraphHandle graph, Context context,
                                           unsigned initially, unsigned flags) = nullptr;

  int version() const { return driverVersion; } // 13000 for 13.0
  const std::string &path() const { return library; }

  /// Fails unless `result` is success. `call` is the entry point, `thing` what it was for.
  void check(Result result, const char *call, std::string_view thing) const {
    if (result != success)
      raise(result, call, thing);
  }
  /// Exit::Memory for out of memory, else Exit::Cuda: the thing, the call, and the driver's own words.
  [[noreturn]] void raise(Result result, const char *call, std::string_view thing) const;
  /// "an illegal memory access was encountered (CUDA_ERROR_ILLEGAL_ADDRESS)"
  std::string describe(Result result) const;

private:
  std::string library;
  int driverVersion = 0;
};

/// 13000 -> "13.0"
std::string versionText(int version);

} // namespace nanort::cuda
