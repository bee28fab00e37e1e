// An entry as one CUDA graph: built once, launched every time the entry runs.
#pragma once

#include "runtime/cuda/device.h"

#include <functional>
#include <span>
#include <vector>

namespace nanort::cuda {

/// A kernel launch with everything fixed.
struct KernelLaunch {
  Function function = nullptr;
  const uint32_t *grid = nullptr, *block = nullptr;
  uint32_t sharedBytes = 0;
  void **arguments = nullptr;
};

/// What a node comes after, by index of an earlier add.
struct GraphEdge {
  uint32_t from;
  bool programmatic; // the kernel itself waits for its producer; taken as a full edge where the device cannot do that
};

/// Where nodes are added, in order: a graph, or the body of one of its loops. The device's context must be current.
/// Errors: Exit::Memory or Exit::Cuda naming `thing`.
class GraphBody {
public:
  /// A programmatic edge must be a kernel's only one.
  void addKernel(const KernelLaunch &launch, std::span<const GraphEdge> edges, const std::string &thing);
  /// What `enqueue` puts on the device's stream, captured as one node; nothing runs.
  void addCaptured(const std::function<void()> &enqueue, std::span<const GraphEdge> edges, const std::string &thing);
  /// The handle that a kernel sets with cudaGraphSetConditional: a loop goes on unless the last value set was 0. Before
  /// any was set, at each launch, it is 1.
  unsigned long long addCondition(const std::string &thing);
  /// Repeats the body that it returns while the condition holds. Before drivers for CUDA 13.0 there are no loops.
  GraphBody addLoop(unsigned long long condition, std::span<const GraphEdge> edges, const std::string &thing);

protected:
  GraphBody(const Device &device, GraphHandle graph) : device(device), graph(graph) {}
  GraphHandle handle(const std::string &thing); // made by the first node

  const Device &device;
  GraphHandle graph;

private:
  std::span<const GraphNode> producers(std::span<const GraphEdge> edges);

  std::vector<GraphNode> nodes, dependencies;
};

/// Filled, then instantiated.
class Graph : public GraphBody {
public:
  explicit Graph(const Device &device) : GraphBody(device, nullptr) {}
  ~Graph();
  Graph(const Graph &) = delete;
  Graph &operator=(const Graph &) = delete;

  /// Makes it ready to launch, its upload to the device included. Nothing can be added afterwards.
  void instantiate(const std::string &thing);
  /// Enqueues all nodes.
  void launch(const std::string &thing) const;

private:
  GraphExec exec = nullptr;
};

/// True if programmatic edges are more than full ones here: sm_90 or newer, and a driver that takes edge data.
bool supportsProgrammaticEdges(const Device &device);
/// True if graphs can hold loops: a driver for CUDA 13.0 or newer.
bool supportsLoops(const Device &device);

} // namespace nanort::cuda
