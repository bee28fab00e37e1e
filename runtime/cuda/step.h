// A node of a program with its arguments in place.
#pragma once

#include "runtime/cuda/graph.h"
#include "runtime/plan/plan.h"

#include <cstring>
#include <utility>
#include <vector>

namespace nanort::cuda {

/// A node ready to be enqueued: nothing is looked up or allocated per step.
struct Step {
  KernelLaunch kernel; // without a function: a Gemm
  size_t product = 0;  // Gemm only, with the three operands
  DevicePtr x = 0, w = 0, y = 0;
  std::vector<std::pair<void *, uint32_t>> conditions; // arguments that a graph fills in, and the loops they end
};

/// Kernel arguments as cuLaunchKernel wants them: values of up to 8 bytes, and a list of pointers to them per launch.
class ArgumentStore {
public:
  explicit ArgumentStore(size_t count) : values(count), pointers(count) {}
  template <typename T> void *push(T value) {
    static_assert(sizeof(T) <= sizeof(uint64_t));
    std::memcpy(&values[used], &value, sizeof value);
    pointers[used] = &values[used];
    return pointers[used++];
  }
  /// An argument of any size that stays where it is.
  void pushAddress(void *value) { pointers[used++] = value; }
  void **next() { return pointers.data() + used; }

private:
  std::vector<uint64_t> values;
  std::vector<void *> pointers;
  size_t used = 0;
};

/// What a program's nodes take: arguments, tensor maps, and one more for each: where its times go.
inline size_t countArguments(const schema::Program &program) {
  size_t count = 0;
  forEachNode(program, [&](const schema::Node &node) {
    const auto *launch = node.work_as_Launch();
    count += argumentsOf(node).size() + (launch && launch->maps() ? launch->maps()->size() : 0) + 1;
  });
  return count;
}

inline size_t countNodes(const schema::Program &program) {
  size_t count = 0;
  forEachNode(program, [&](const schema::Node &) { ++count; });
  return count;
}

} // namespace nanort::cuda
