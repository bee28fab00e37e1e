// What runs a program's entries: the CPU executor (the oracle) or the CUDA executor. Each is defined in its own folder;
// what opens a device (session/, tools/) knows this header alone.
#pragma once

#include "runtime/plan/plan.h"
#include "runtime/weights/weights.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace nanort {

/// Bytes that an executor has requested from its device, by space, and what it took to get ready.
struct ExecutorStats {
  uint64_t constants = 0, kv = 0, state = 0, arena = 0, workspace = 0, mapped = 0;
  double loadMs = 0;              // constants made and moved, kernels loaded
  double contextMs = 0;           // of loadMs, on a GPU: its context,
  double kernelsMs = 0;           // kernels loaded, or compiled,
  double constantsMs = 0;         // memory, and constants made and moved
  double graphsMs = 0;            // graphs made and instantiated so far, each when its entry first runs
  std::vector<std::string> notes; // for -v: driver, library versions, where kernels came from
};

/// When a launch ran, in nanoseconds of the device's clock; zeros if nothing took the time.
struct LaunchTime {
  uint64_t begin = 0, end = 0;
};

/// Not thread-safe. Calls are ordered: a read sees all earlier writes and runs.
class Executor {
public:
  virtual ~Executor() = default;
  virtual std::string device() const = 0; // "cpu", "NVIDIA H100 80GB HBM3"
  virtual const ExecutorStats &stats() const = 0;

  virtual void write(uint32_t buffer, const void *data, size_t bytes) = 0;
  virtual void read(uint32_t buffer, void *data, size_t bytes) = 0;
  /// Starts an entry; what it makes is there for the next read.
  virtual void run(uint32_t entry) = 0;
  /// One launch of an entry (check --against).
  virtual void runNode(uint32_t entry, uint32_t node) = 0;

  // Generate entries, whose tokens the host takes from mapped memory while they run.
  /// True if they are worth more than their steps one by one, between which the host has a say.
  virtual bool prefersGeneration() const { return false; }
  /// A buffer in mapped memory as the host sees it; null if this executor runs no generate entries.
  virtual std::byte *mapped(uint32_t) { return nullptr; }
  /// The entry's own nodes when they last ran, by themselves or in a loop. Empty unless the executor takes times.
  virtual std::vector<LaunchTime> launchTimes(uint32_t) { return {}; }
  /// False while anything that was started still runs; throws what it failed with. Does not wait.
  virtual bool finished() { return true; }
};

struct CpuOptions {
  int threads = 0;          // 0: all cores
  uint64_t shuffleSeed = 0; // not 0: launches run in a random topological order of their edges
  bool poison = false;      // arena ranges hold NaN patterns whenever no buffer that lives there is alive
};
std::unique_ptr<Executor> makeCpuExecutor(std::shared_ptr<const Plan> plan, uint32_t program, const Weights &weights,
                                          const CpuOptions &options);

struct CudaOptions {
  int device = 0;
  std::filesystem::path cacheDir; // empty: the default of codegen::Cache
  bool noCache = false;
  bool graphs = true;     // an entry is one graph, made when it first runs; else launch by launch
  bool times = false;     // every kernel is compiled to note when it runs, which needs NVRTC
  bool fullEdges = false; // graphs: no programmatic edges
};
/// Errors: Exit::Device without a driver or device, or if a kernel must be compiled and NVRTC is missing;
/// Exit::Memory; Exit::Cuda. For finding faults: with NANORT_SYNC=1 every launch is made alone, waited for, and an
/// error names it; with NANORT_POISON=1 the arena is filled with NaN patterns before each run, and so is the KV space
/// at the start; with NANORT_CHAOS=N kernels are compiled so that blocks picked at random, other ones for each N, are
/// late before they store anything: what follows too early then shows.
std::unique_ptr<Executor> makeCudaExecutor(std::shared_ptr<const Plan> plan, uint32_t program, const Weights &weights,
                                           const CudaOptions &options);

/// Number of CUDA devices; 0 without a driver. `why` then says what was looked for.
int cudaDeviceCount(std::string &why);
/// Compute capability as "sm_90" of a device, and its total memory in bytes.
struct CudaDevice {
  std::string name, arch;
  uint64_t memory;
};
CudaDevice cudaDevice(int index);
/// How well a program of a plan suits a device of capability `arch` ("sm_90"): the highest wins, 0 does not run
/// (runtime/cuda/arch.h, rankOn).
int cudaRank(const Plan &plan, uint32_t program, std::string_view arch);

} // namespace nanort
