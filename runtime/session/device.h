// From what a user asks for to an executor: which device, which program of the plan.
#pragma once

#include "runtime/executor/executor.h"

#include <filesystem>
#include <memory>
#include <string>

namespace nanort {

struct DeviceChoice {
  bool cuda = false;
  int index = 0;
};

/// "auto" is CUDA if the driver reports a device, else the CPU; "cuda", "cuda:N" and "cpu" are taken at their word.
/// Errors: Exit::Usage for another text, Exit::Device if an asked-for CUDA device is missing.
DeviceChoice chooseDevice(const std::string &text);

/// The program to run. By `name` (its target) if not empty; else on CUDA the one that suits the device best: whose code
/// it runs as it is, then PTX, then whose sources the runtime compiles for it (runtime/cuda/arch.h, rankOn); on the CPU
/// "cpu", else the first. Errors: Exit::Usage for an unknown name, Exit::Device if none fits.
uint32_t chooseProgram(const Plan &plan, const DeviceChoice &device, const std::string &name);
/// The same for an architecture such as "sm_90"; empty: the CPU.
uint32_t chooseProgramFor(const Plan &plan, const std::string &arch, const std::string &name);

struct ExecutorOptions {
  int threads = 0; // CPU work; 0: all cores
  std::filesystem::path cacheDir;
  bool noCache = false;
  bool graphs = true;     // CUDA: an entry is one graph rather than many launches
  bool times = false;     // CUDA: launches note when they run
  bool fullEdges = false; // CUDA: graphs without programmatic edges
};
std::unique_ptr<Executor> makeExecutor(std::shared_ptr<const Plan> plan, uint32_t program, const Weights &weights,
                                       const DeviceChoice &device, const ExecutorOptions &options);

/// The plan's weights and tokenizer files: relative paths are relative to the plan. Empty if it names none.
std::filesystem::path weightsPath(const Plan &plan);
std::filesystem::path tokenizerPath(const Plan &plan);

/// Bytes of memory on a device.
uint64_t memoryOf(const DeviceChoice &device);

} // namespace nanort
