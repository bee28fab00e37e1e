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

/// Nodes are added in order, then the graph is instantiated. The device's context must be current. Errors: Exit::Memory
/// or Exit::Cuda naming `thing`.
class Graph {
public:
  explicit Graph(const Device &device) : device(device) {}
  ~Graph();
  Graph(const Graph &) = delete;
  Graph &operator=(const Graph &) = delete;

  /// A programmatic edge must be a kernel's only one.
  void addKernel(const KernelLaunch &launch, std::span<const GraphEdge> edges, const std::string &thing);
  /// What `enqueue` puts on the device's stream, captured as one node; nothing runs.
  void addCaptured(const std::function<void()> &enqueue, std::span<const GraphEdge> edges, const std::string &thing);
  /// Makes it ready to launch, its upload to the device included. Nothing can be added afterwards.
  void instantiate(const std::string &thing);
  /// Enqueues all nodes.
  void launch(const std::string &thing) const;

private:
  GraphHandle handle(const std::string &thing); // made by the first node
  std::span<const GraphNode> producers(std::span<const GraphEdge> edges);

  const Device &device;
  GraphHandle graph = nullptr;
  GraphExec exec = nullptr;
  std::vector<GraphNode> nodes, dependencies;
};

/// True if programmatic edges are more than full ones here: sm_90 or newer, and a driver that takes edge data.
bool supportsProgrammaticEdges(const Device &device);

} // namespace nanort::cuda
