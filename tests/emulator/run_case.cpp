#include "tests/emulator/run_case.h"

#include "tests/emulator/memory.h"

#include <cstring>

namespace emulator {

/// As the driver's; launches here are in no graph.
extern "C" void cudaGraphSetConditional(unsigned long long, unsigned) {
  fault("a condition is set outside of a graph");
}

using kernels::Access;
using nanotest::Case;

std::map<std::string, Kernel> &instances() {
  static std::map<std::string, Kernel> all;
  return all;
}

const Kernel *findInstance(const Case &c) {
  const auto found = instances().find(c.kernel->instanceName(c.params));
  return found == instances().end() ? nullptr : &found->second;
}

/// Of the launches before, rather than of the checkpoint or the step before.
static bool isLate(const kernels::Arg &arg) {
  return arg.access == Access::In && (arg.role == kernels::Role::Activation || arg.role == kernels::Role::Next);
}

static TileMap tileMap(const kernels::TensorMap &map, kernels::DType type, const std::byte *base) {
  return {reinterpret_cast<const unsigned char *>(base),
          static_cast<unsigned>(sizeOf(type)),
          map.extents,
          map.strides,
          map.box,
          map.swizzle};
}

std::optional<std::vector<std::vector<std::byte>>> runCase(const Case &c, const Kernel &kernel, uint64_t seed, int fill,
                                                           std::string &why) {
  const nanotest::CaseMemory before = nanotest::layOut(c, fill);
  // Buffers on the device begin at multiples of 256 bytes at least.
  std::vector<std::byte> store(before.image.size() + 256);
  std::byte *memory = store.data() + (256 - reinterpret_cast<uintptr_t>(store.data()) % 256);
  std::memcpy(memory, before.image.data(), before.image.size());

  const kernels::LaunchShape shape = c.kernel->shape(c.launch());
  const bool waits = c.kernel->engine->waitsItself;
  Launch launch{shape.blocks, shape.threads, shape.cluster, shape.sharedBytes, {}, waits, {}, {}};
  std::vector<void *> buffers, arguments;
  for (size_t b = 0; b < c.buffers.size(); ++b) {
    buffers.push_back(memory + before.offsets[b]);
    const std::span<std::byte> bytes(memory + before.offsets[b], c.buffers[b].size());
    launch.global.push_back(bytes);
    if (waits && isLate(c.arg(b)))
      launch.late.push_back(bytes);
  }
  for (void *&buffer : buffers)
    arguments.push_back(&buffer);
  std::vector<kernels::Scalar> scalars = c.scalars;
  unsigned long long noGraph = 0;
  for (size_t i = 0; i < scalars.size(); ++i)
    arguments.push_back(c.arg(buffers.size() + i).access == Access::Condition ? static_cast<void *>(&noGraph)
                                                                              : &scalars[i]);
  const std::vector<kernels::TensorMap> described = c.kernel->maps(c.launch(), c.limits);
  std::vector<TileMap> tiles;
  tiles.reserve(described.size());
  std::vector<const TileMap *> maps; // a kernel's TensorMap is one such pointer
  for (const kernels::TensorMap &map : described) {
    const size_t arg = c.kernel->indexOf(map.arg);
    tiles.push_back(tileMap(map, c.types[arg], static_cast<std::byte *>(buffers[arg])));
  }
  for (const TileMap &tile : tiles)
    maps.push_back(&tile);
  for (const TileMap *&map : maps)
    arguments.push_back(&map);

  launch.kernel = [&] { kernel(arguments.data()); };
  try {
    run(launch, seed);
  } catch (const Fault &fault) {
    why = fault.what();
    return std::nullopt;
  }
  return nanotest::buffersAfter(c, before, std::vector<std::byte>(memory, memory + before.image.size()), why);
}

} // namespace emulator
