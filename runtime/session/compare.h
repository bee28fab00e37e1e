// Launch by launch: one executor against another on the same inputs (`check --against`).
#pragma once

#include "runtime/executor/executor.h"

#include <map>
#include <memory>
#include <string>

namespace nanort {

/// How far a kernel's outputs strayed, as a part of what its tolerance allows.
struct KernelDifference {
  uint64_t launches = 0;
  double worst = 0;  // |tested - oracle| / (tolerance * largest |oracle| of that output); 1 is the limit
  std::string where; // entry and node of the worst
};

/// An executor that runs each launch on both of two: before it, the launch's inputs are copied from the tested executor
/// to the oracle, after it their outputs are compared. So a difference belongs to the launch that shows it. Integer
/// outputs must be equal. Errors: Exit::Mismatch naming the first launch whose output differs by more than its kernel's
/// tolerance, or is not a number.
class LockstepExecutor final : public Executor {
public:
  LockstepExecutor(std::shared_ptr<const Plan> plan, uint32_t program, std::unique_ptr<Executor> tested,
                   std::unique_ptr<Executor> oracle);

  std::string device() const override { return tested->device(); }
  const ExecutorStats &stats() const override { return tested->stats(); }
  void write(uint32_t buffer, const void *data, size_t bytes) override;
  void read(uint32_t buffer, void *data, size_t bytes) override { tested->read(buffer, data, bytes); }
  void run(uint32_t entry) override;
  void runNode(uint32_t entry, uint32_t node) override;

  const std::map<std::string, KernelDifference> &byKernel() const { return differences; }

private:
  std::shared_ptr<const Plan> plan;
  const schema::Program &program;
  const std::vector<KernelInstance> &kernels;
  std::unique_ptr<Executor> tested, oracle;
  std::map<std::string, KernelDifference> differences;
  std::vector<std::byte> a, b; // one buffer's bytes of each

  void compare(uint32_t buffer, const KernelInstance &kernel, const std::string &where);
};

} // namespace nanort
