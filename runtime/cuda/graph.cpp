#include "runtime/cuda/graph.h"

#include <algorithm>

namespace nanort::cuda {

bool supportsProgrammaticEdges(const Device &device) {
  return device.arch().major >= 9 && device.driver().cuGraphAddNode;
}

bool supportsLoops(const Device &device) { return device.driver().cuGraphConditionalHandleCreate; }

Graph::~Graph() {
  const Driver &driver = device.driver();
  if (exec)
    driver.cuGraphExecDestroy(exec);
  if (graph)
    driver.cuGraphDestroy(graph);
}

GraphHandle GraphBody::handle(const std::string &thing) {
  if (!graph)
    device.driver().check(device.driver().cuGraphCreate(&graph, 0), "cuGraphCreate", thing);
  return graph;
}

std::span<const GraphNode> GraphBody::producers(std::span<const GraphEdge> edges) {
  dependencies.clear();
  for (const GraphEdge &edge : edges)
    dependencies.push_back(nodes[edge.from]);
  return dependencies;
}

void GraphBody::addKernel(const KernelLaunch &launch, std::span<const GraphEdge> edges, const std::string &thing) {
  const Driver &driver = device.driver();
  GraphNodeParams params = {};
  params.type = nodeKernel;
  KernelNodeParams &kernel = params.kernel;
  kernel = {};
  kernel.function = launch.function;
  std::copy_n(launch.grid, 3, kernel.grid);
  std::copy_n(launch.block, 3, kernel.block);
  kernel.sharedBytes = launch.sharedBytes;
  kernel.arguments = launch.arguments;

  std::span<const GraphNode> after = producers(edges);
  GraphHandle into = handle(thing);
  GraphNode node = nullptr;
  if (edges.size() == 1 && edges[0].programmatic && supportsProgrammaticEdges(device)) {
    GraphEdgeData early = {programmaticPort, 0, programmaticEdge, {}};
    driver.check(driver.cuGraphAddNode(&node, into, after.data(), &early, 1, &params), "cuGraphAddNode", thing);
  } else {
    driver.check(driver.cuGraphAddKernelNode(&node, into, after.data(), after.size(), &kernel), "cuGraphAddKernelNode",
                 thing);
  }
  nodes.push_back(node);
}

void GraphBody::addCaptured(const std::function<void()> &enqueue, std::span<const GraphEdge> edges,
                            const std::string &thing) {
  const Driver &driver = device.driver();
  driver.check(driver.cuStreamBeginCapture(device.stream(), captureRelaxed), "cuStreamBeginCapture", thing);
  GraphHandle captured = nullptr;
  try {
    enqueue();
  } catch (...) {
    // The stream must leave capture whatever happened.
    if (driver.cuStreamEndCapture(device.stream(), &captured) == success && captured)
      driver.cuGraphDestroy(captured);
    throw;
  }
  driver.check(driver.cuStreamEndCapture(device.stream(), &captured), "cuStreamEndCapture", thing);
  GraphHandle into = handle(thing);
  std::span<const GraphNode> after = producers(edges);
  GraphNode node = nullptr;
  Result result = driver.cuGraphAddChildGraphNode(&node, into, after.data(), after.size(), captured);
  driver.cuGraphDestroy(captured); // the node holds a copy
  driver.check(result, "cuGraphAddChildGraphNode", thing);
  nodes.push_back(node);
}

unsigned long long GraphBody::addCondition(const std::string &thing) {
  const Driver &driver = device.driver();
  unsigned long long condition = 0;
  driver.check(
      driver.cuGraphConditionalHandleCreate(&condition, handle(thing), device.handle(), 1, conditionAssignDefault),
      "cuGraphConditionalHandleCreate", thing);
  return condition;
}

GraphBody GraphBody::addLoop(unsigned long long condition, std::span<const GraphEdge> edges, const std::string &thing) {
  const Driver &driver = device.driver();
  GraphNodeParams params = {};
  params.type = nodeConditional;
  params.conditional = {condition, conditionWhile, 1, nullptr, device.handle()};
  std::span<const GraphNode> after = producers(edges);
  GraphNode node = nullptr;
  driver.check(driver.cuGraphAddNode(&node, handle(thing), after.data(), nullptr, after.size(), &params),
               "cuGraphAddNode", thing);
  nodes.push_back(node);
  return GraphBody(device, params.conditional.bodies[0]);
}

void Graph::instantiate(const std::string &thing) {
  const Driver &driver = device.driver();
  driver.check(driver.cuGraphInstantiateWithFlags(&exec, handle(thing), 0), "cuGraphInstantiate", thing);
  driver.check(driver.cuGraphUpload(exec, device.stream()), "cuGraphUpload", thing);
  driver.cuGraphDestroy(graph); // the executable graph does not need it
  graph = nullptr;
}

void Graph::launch(const std::string &thing) const {
  const Driver &driver = device.driver();
  driver.check(driver.cuGraphLaunch(exec, device.stream()), "cuGraphLaunch", thing);
}

} // namespace nanort::cuda
