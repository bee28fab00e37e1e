#include "tests/unit/cuda_fake.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace {

FakeCuda state;

struct Kernel {
  std::string name, arguments;
};
struct Module {
  std::string arguments;
  std::vector<std::unique_ptr<Kernel>> kernels;
};

constexpr int outOfMemory = 2, noDevice = 100, noBinary = 209, notFound = 500;
int token; // stands for contexts, streams and events

int init(unsigned) { return state.initResult; }
int driverVersion(int *version) { return *version = state.driverVersion, 0; }
int errorName(int error, const char **text) {
  *text = error == outOfMemory ? "CUDA_ERROR_OUT_OF_MEMORY"
          : error == noDevice  ? "CUDA_ERROR_NO_DEVICE"
                               : "CUDA_ERROR_FAKE";
  return 0;
}
int errorString(int error, const char **text) {
  return *text = error == outOfMemory ? "out of memory" : "fake error", 0;
}
int deviceCount(int *count) { return *count = state.devices, 0; }
int deviceGet(int *device, int ordinal) { return *device = ordinal, 0; }
int deviceName(char *name, int length, int) { return std::strncpy(name, "Fake GPU", length), 0; }
int deviceAttribute(int *value, int attribute, int) {
  *value = attribute == 75 ? state.major : attribute == 76 ? state.minor : attribute == 97 ? state.sharedBytes : -1;
  return 0;
}
int totalMem(size_t *bytes, int) { return *bytes = state.memory, 0; }
int retain(void **context, int) { return *context = &token, ++state.contexts, 0; }
int release(int) { return --state.contexts, 0; }
int setCurrent(void *) { return 0; }

size_t used() {
  size_t sum = 0;
  for (auto [address, bytes] : state.device)
    sum += bytes;
  return sum;
}
int memInfo(size_t *free, size_t *total) { return *total = state.memory, *free = state.memory - used(), 0; }
int memAlloc(uint64_t *address, size_t bytes) {
  if (bytes > state.memory - used())
    return outOfMemory;
  void *made = std::calloc(1, bytes);
  state.device[made] = bytes;
  state.allocations.push_back(bytes);
  *address = reinterpret_cast<uint64_t>(made);
  return 0;
}
int memFree(uint64_t address) {
  void *made = reinterpret_cast<void *>(address);
  state.device.erase(made);
  std::free(made);
  return 0;
}
int hostAlloc(void **address, size_t bytes, unsigned flags) {
  state.hostFlags.push_back(flags);
  return state.host[*address = std::malloc(bytes)] = bytes, 0;
}
int hostDevicePointer(uint64_t *address, void *host, unsigned) {
  return *address = reinterpret_cast<uint64_t>(host), state.host.contains(host) ? 0 : 1;
}
int hostFree(void *address) { return state.host.erase(address), std::free(address), 0; }
int fill(uint64_t address, unsigned char value, size_t bytes, void *) {
  std::memset(reinterpret_cast<void *>(address), value, bytes);
  state.fills.emplace_back(bytes, value);
  return 0;
}
int toDevice(uint64_t to, const void *from, size_t bytes, void *) {
  state.largestCopy = std::max<int>(state.largestCopy, bytes);
  state.copies.push_back(bytes);
  std::memcpy(reinterpret_cast<void *>(to), from, bytes);
  return 0;
}
int toHost(void *to, uint64_t from, size_t bytes, void *) {
  std::memcpy(to, reinterpret_cast<void *>(from), bytes);
  return 0;
}
int streamCreate(void **stream, unsigned) { return *stream = &token, ++state.streams, 0; }
int streamDestroy(void *) { return --state.streams, 0; }
int synchronize(void *) { return ++state.synchronizations, state.synchronizeResult; }
int streamQuery(void *) { return state.queryResult; }
int eventCreate(void **event, unsigned) { return *event = &token, ++state.events, 0; }
int eventDestroy(void *) { return --state.events, 0; }
int eventRecord(void *, void *) { return 0; }
int eventSynchronize(void *) { return 0; }
int eventElapsed(float *milliseconds, void *, void *) {
  // What was launched last takes as long as its name: times differ, and do so in every round alike.
  *milliseconds = state.launches.empty() ? 0 : 1e-3f * static_cast<float>(state.launches.back().kernel.size());
  return 0;
}

int moduleLoad(void **module, const void *image) {
  const char *text = static_cast<const char *>(image);
  if (std::strncmp(text, "fake:", 5) != 0)
    return noBinary;
  ++state.modules;
  *module = new Module{std::string(text + 5, std::strspn(text + 5, "bmst")), {}};
  return 0;
}
int moduleUnload(void *module) { return delete static_cast<Module *>(module), --state.modules, 0; }
int moduleFunction(void **function, void *module, const char *name) {
  auto &owner = *static_cast<Module *>(module);
  owner.kernels.push_back(std::make_unique<Kernel>(Kernel{name, owner.arguments}));
  *function = owner.kernels.back().get();
  return 0;
}
int functionAttribute(void *function, int, int value) {
  return state.sharedAttribute[static_cast<Kernel *>(function)->name] = value, 0;
}
int functionValue(int *value, int attribute, void *) { return *value = attribute == 4 ? state.registers : -1, 0; }

FakeCuda::Launch recordOf(void *function, const unsigned *grid, const unsigned *block, unsigned sharedBytes,
                          void **arguments) {
  auto &kernel = *static_cast<Kernel *>(function);
  FakeCuda::Launch record{kernel.name, {grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}, sharedBytes, {}, 0};
  for (size_t i = 0; i < kernel.arguments.size(); ++i) {
    uint64_t value = 0;
    std::memcpy(&value, arguments[i], kernel.arguments[i] == 's' ? 4 : 8);
    record.arguments.push_back(value);
    if (kernel.arguments[i] == 't')
      record.stamps = value;
  }
  return record;
}
/// What common/stamps.cuh does.
void takeTimes(const FakeCuda::Launch &launch) {
  if (!launch.stamps)
    return;
  auto *words = reinterpret_cast<uint64_t *>(launch.stamps);
  words[0] = std::min(words[0], state.clock);
  words[1] = std::min(words[1], ~(state.clock += 1000));
}
int encodeTiled(uint64_t *image, int type, unsigned rank, uint64_t base, const uint64_t *extents,
                const uint64_t *strides, const uint32_t *box, const uint32_t *, int interleave, int swizzle, int,
                int fill) {
  *image = state.maps.size();
  state.maps.push_back({type,
                        interleave,
                        swizzle,
                        fill,
                        base,
                        {extents, extents + rank},
                        {strides, strides + rank - 1},
                        {box, box + rank}});
  bool fits = reinterpret_cast<uint64_t>(image) % 64 == 0 && base % 16 == 0 && rank >= 2 && rank <= 5;
  for (unsigned i = 0; i < rank; ++i)
    fits &= extents[i] > 0 && box[i] > 0 && box[i] <= 256 && (i + 1 == rank || strides[i] % 16 == 0);
  const uint32_t element = type == 7 ? 4 : 2, span = swizzle == 0 ? 0 : 16u << swizzle;
  return fits && (swizzle == 0 || box[0] * element <= span) ? 0 : 1;
}
int launch(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
           unsigned sharedBytes, void *, void **arguments, void **) {
  const unsigned grid[] = {gx, gy, gz}, block[] = {bx, by, bz};
  state.launches.push_back(recordOf(function, grid, block, sharedBytes, arguments));
  takeTimes(state.launches.back());
  if (state.onLaunch)
    state.onLaunch(state.launches.back());
  return state.launchResult;
}

// Graphs: nodes are handed out as their index plus one.
struct Graph {
  std::vector<FakeCuda::Node> nodes;
  std::map<size_t, std::unique_ptr<Graph>> bodies; // of loops, by node
};
std::vector<FakeCuda::Node> finished(const Graph &graph) {
  std::vector<FakeCuda::Node> nodes = graph.nodes;
  for (const auto &[node, body] : graph.bodies)
    nodes[node].body = finished(*body);
  return nodes;
}
bool capturing = false;
Graph *captured = nullptr;

int beginCapture(void *, int mode) {
  capturing = true;
  captured = new Graph{{{}}, {}};
  ++state.liveGraphs;
  return mode == 2 ? 0 : 1;
}
int endCapture(void *, Graph **graph) { return *graph = captured, capturing = false, 0; }
int graphCreate(Graph **graph, unsigned) { return *graph = new Graph, ++state.liveGraphs, 0; }
int graphDestroy(Graph *graph) { return delete graph, --state.liveGraphs, 0; }
int addNode(void **node, Graph *graph, void *const *after, size_t count, FakeCuda::Node made) {
  for (size_t i = 0; i < count; ++i)
    made.after.push_back(reinterpret_cast<size_t>(after[i]) - 1);
  graph->nodes.push_back(std::move(made));
  *node = reinterpret_cast<void *>(graph->nodes.size());
  return state.graphNodeResult;
}
struct KernelParams { // CUDA_KERNEL_NODE_PARAMS
  void *function;
  unsigned grid[3], block[3], sharedBytes;
  void **arguments, **extra;
  void *kernel, *context;
};
int graphAddKernel(void **node, Graph *graph, void *const *after, size_t count, const KernelParams *params) {
  return addNode(node, graph, after, count,
                 {recordOf(params->function, params->grid, params->block, params->sharedBytes, params->arguments)});
}
int graphAddChild(void **node, Graph *graph, void *const *after, size_t count, const Graph *child) {
  return addNode(node, graph, after, count, child->nodes[0]);
}
struct ConditionalParams { // CUDA_CONDITIONAL_NODE_PARAMS
  uint64_t handle;
  int type;
  unsigned size;
  Graph **bodies;
  void *context;
};
struct NodeParams { // CUgraphNodeParams of a kernel or a loop
  int type, reserved[3];
  union {
    KernelParams kernel;
    ConditionalParams conditional;
  };
};
int conditionCreate(uint64_t *handle, Graph *graph, void *, unsigned initially, unsigned flags) {
  return *handle = ++state.conditions, graph && initially == 1 && flags == 1 ? 0 : 1;
}
int graphAddAny(void **node, Graph *graph, void *const *after, const unsigned char *edges, size_t count,
                NodeParams *params) {
  if (params->type == 13) {
    static Graph *bodies[1];
    const size_t index = graph->nodes.size();
    bodies[0] = (graph->bodies[index] = std::make_unique<Graph>()).get();
    FakeCuda::Node loop;
    loop.condition = params->conditional.handle;
    const bool isWhile = params->conditional.type == 1 && params->conditional.size == 1;
    params->conditional.bodies = bodies;
    return isWhile ? addNode(node, graph, after, count, std::move(loop)) : 1;
  }
  const KernelParams &kernel = params->kernel;
  FakeCuda::Node made{recordOf(kernel.function, kernel.grid, kernel.block, kernel.sharedBytes, kernel.arguments)};
  made.programmatic = edges && edges[0] == 1 && edges[1] == 0 && edges[2] == 1; // port from, port to, type
  return params->type != 0 ? 1 : addNode(node, graph, after, count, std::move(made));
}
int graphInstantiate(Graph **exec, Graph *graph, uint64_t) {
  state.graphs.push_back(finished(*graph));
  *exec = new Graph{state.graphs.back(), {}};
  return ++state.liveExecs, 0;
}
int graphUpload(Graph *, void *) { return ++state.uploads, 0; }
int graphLaunch(Graph *exec, void *) {
  ++state.graphLaunches;
  for (const FakeCuda::Node &node : exec->nodes) {
    if (!node.kernel.kernel.empty())
      state.launches.push_back(node.kernel);
    takeTimes(node.kernel);
    state.products.insert(state.products.end(), node.products.begin(), node.products.end());
  }
  return state.graphLaunchResult;
}
int graphExecDestroy(Graph *exec) { return delete exec, --state.liveExecs, 0; }

template <typename F> void *address(F *function) { return reinterpret_cast<void *>(function); }

const std::map<std::string, void *> symbols = {
    {"cuInit", address(init)},
    {"cuDriverGetVersion", address(driverVersion)},
    {"cuGetErrorName", address(errorName)},
    {"cuGetErrorString", address(errorString)},
    {"cuDeviceGetCount", address(deviceCount)},
    {"cuDeviceGet", address(deviceGet)},
    {"cuDeviceGetName", address(deviceName)},
    {"cuDeviceGetAttribute", address(deviceAttribute)},
    {"cuDeviceTotalMem", address(totalMem)},
    {"cuDevicePrimaryCtxRetain", address(retain)},
    {"cuDevicePrimaryCtxRelease", address(release)},
    {"cuCtxSetCurrent", address(setCurrent)},
    {"cuMemGetInfo", address(memInfo)},
    {"cuMemAlloc", address(memAlloc)},
    {"cuMemFree", address(memFree)},
    {"cuMemHostAlloc", address(hostAlloc)},
    {"cuMemHostGetDevicePointer", address(hostDevicePointer)},
    {"cuMemFreeHost", address(hostFree)},
    {"cuMemsetD8Async", address(fill)},
    {"cuMemcpyHtoDAsync", address(toDevice)},
    {"cuMemcpyDtoHAsync", address(toHost)},
    {"cuStreamCreate", address(streamCreate)},
    {"cuStreamDestroy", address(streamDestroy)},
    {"cuStreamQuery", address(streamQuery)},
    {"cuStreamSynchronize", address(synchronize)},
    {"cuEventCreate", address(eventCreate)},
    {"cuEventDestroy", address(eventDestroy)},
    {"cuEventRecord", address(eventRecord)},
    {"cuEventSynchronize", address(eventSynchronize)},
    {"cuEventElapsedTime", address(eventElapsed)},
    {"cuModuleLoadData", address(moduleLoad)},
    {"cuModuleUnload", address(moduleUnload)},
    {"cuModuleGetFunction", address(moduleFunction)},
    {"cuFuncSetAttribute", address(functionAttribute)},
    {"cuLaunchKernel", address(launch)},
    {"cuTensorMapEncodeTiled", address(encodeTiled)},
    {"cuFuncGetAttribute", address(functionValue)},
    {"cuStreamBeginCapture", address(beginCapture)},
    {"cuStreamEndCapture", address(endCapture)},
    {"cuGraphCreate", address(graphCreate)},
    {"cuGraphDestroy", address(graphDestroy)},
    {"cuGraphAddKernelNode", address(graphAddKernel)},
    {"cuGraphAddChildGraphNode", address(graphAddChild)},
    {"cuGraphConditionalHandleCreate", address(conditionCreate)},
    {"cuGraphAddNode", address(graphAddAny)},
    {"cuGraphInstantiateWithFlags", address(graphInstantiate)},
    {"cuGraphUpload", address(graphUpload)},
    {"cuGraphLaunch", address(graphLaunch)},
    {"cuGraphExecDestroy", address(graphExecDestroy)},
};

// cuBLASLt: descriptors are what was set on them.
struct Operation {
  int transposeA = 0;
};
struct Layout {
  int type;
  uint64_t rows, columns;
};
struct Preference {
  uint64_t workspace = 0;
  uint32_t reductions = 7;
};
struct Heuristic {
  uint64_t algorithm[8];
  size_t workspaceBytes;
  int status;
  float waves;
  int reserved[4];
};
Preference lastPreference;

} // namespace

extern "C" {

FakeCuda *fakeCudaState() { return &state; }

int cuGetProcAddress_v2(const char *symbol, void **out, int version, uint64_t, int *) {
  auto found = symbols.find(symbol);
  if (found == symbols.end() || version < 12000 || version > state.driverVersion)
    return notFound;
  *out = found->second;
  return 0;
}

size_t cublasLtGetVersion() { return 130100; }
const char *cublasLtGetStatusString(int) { return "fake status"; }
int cublasLtCreate(void **handle) { return *handle = &token, ++state.handles, 0; }
int cublasLtDestroy(void *) { return --state.handles, 0; }
int cublasLtMatmulDescCreate(void **operation, int, int) { return *operation = new Operation, 0; }
int cublasLtMatmulDescDestroy(void *operation) { return delete static_cast<Operation *>(operation), 0; }
int cublasLtMatmulDescSetAttribute(void *operation, int attribute, const void *value, size_t) {
  if (attribute == 3)
    std::memcpy(&static_cast<Operation *>(operation)->transposeA, value, 4);
  return 0;
}
int cublasLtMatrixLayoutCreate(void **layout, int type, uint64_t rows, uint64_t columns, int64_t stride) {
  return *layout = new Layout{type, rows, columns}, stride == static_cast<int64_t>(rows) ? 0 : 7;
}
int cublasLtMatrixLayoutDestroy(void *layout) { return delete static_cast<Layout *>(layout), 0; }
int cublasLtMatmulPreferenceCreate(void **preference) { return *preference = new Preference, 0; }
int cublasLtMatmulPreferenceDestroy(void *preference) { return delete static_cast<Preference *>(preference), 0; }
int cublasLtMatmulPreferenceSetAttribute(void *preference, int attribute, const void *value, size_t) {
  auto &to = *static_cast<Preference *>(preference);
  attribute == 1 ? std::memcpy(&to.workspace, value, 8) : std::memcpy(&to.reductions, value, 4);
  return 0;
}
int cublasLtMatmulAlgoGetHeuristic(void *, void *, void *, void *, void *, void *, void *preference, int wanted,
                                   Heuristic *results, int *found) {
  ++state.heuristics;
  lastPreference = *static_cast<Preference *>(preference);
  *found = std::min(wanted, 4);
  for (int rank = 0; rank < *found; ++rank) {
    results[rank] = {};
    results[rank].algorithm[0] = static_cast<uint64_t>(rank);
    results[rank].workspaceBytes = lastPreference.workspace;
  }
  return 0;
}
int cublasLtMatmul(void *, void *operation, const void *, const void *a, void *aLayout, const void *b, void *bLayout,
                   const void *, const void *c, void *, void *, void *dLayout, const void *algorithm, void *, size_t,
                   void *) {
  auto &la = *static_cast<Layout *>(aLayout), &lb = *static_cast<Layout *>(bLayout),
       &ld = *static_cast<Layout *>(dLayout);
  auto number = [](const void *pointer) { return reinterpret_cast<uint64_t>(pointer); };
  auto &into = capturing ? captured->nodes[0].products : state.products;
  into.push_back({static_cast<Operation *>(operation)->transposeA, la.type, ld.type, la.rows, la.columns, lb.columns,
                  ld.rows, ld.columns, number(a), number(b), number(c), lastPreference.workspace,
                  lastPreference.reductions, *static_cast<const uint64_t *>(algorithm)});
  return 0;
}
}
