#include "runtime/cuda/memory.h"

#include "runtime/base/ranges.h"
#include "runtime/weights/constants.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace nanort::cuda {

namespace {

constexpr size_t alignment = 256;

} // namespace

Spaces::Spaces(const Device &device, const schema::Program &program) : device(device) {
  const schema::Memory &memory = *program.memory();
  auto set = [&](schema::Space space, uint64_t bytes) { sizes[static_cast<size_t>(space)] = bytes; };
  set(schema::Space::Constant, memory.constants());
  set(schema::Space::Kv, memory.kv());
  set(schema::Space::State, memory.state());
  set(schema::Space::Arena, memory.arena());
  set(schema::Space::Workspace, memory.workspace());
  set(schema::Space::Mapped, memory.mapped());

  const Driver &driver = device.driver();
  for (size_t i = 0; i < count; ++i) {
    if (sizes[i] == 0)
      continue;
    if (Result result = allocate(i)) {
      bases[i] = 0;
      size_t free = 0, total = 0;
      driver.cuMemGetInfo(&free, &total);
      release();
      uint64_t asked = 0;
      for (uint64_t bytes : sizes)
        asked += bytes;
      driver.raise(result, "cuMemAlloc",
                   device.name() + ": " + std::to_string(sizes[i]) + " bytes of " +
                       schema::EnumNameSpace(static_cast<schema::Space>(i)) + " memory (the plan needs " +
                       std::to_string(asked) + " in all) with " + std::to_string(free) + " bytes free of " +
                       std::to_string(total));
    }
  }
}

Spaces::~Spaces() { release(); }

Result Spaces::allocate(size_t space) {
  const Driver &driver = device.driver();
  if (space != static_cast<size_t>(schema::Space::Mapped))
    return driver.cuMemAlloc(&bases[space], sizes[space]);
  if (Result result =
          driver.cuMemHostAlloc(reinterpret_cast<void **>(&mapped), sizes[space], hostPortable | hostMapped)) {
    mapped = nullptr;
    return result;
  }
  std::memset(mapped, 0, sizes[space]);
  return driver.cuMemHostGetDevicePointer(&bases[space], mapped, 0);
}

void Spaces::release() {
  for (size_t i = 0; i < count; ++i)
    if (bases[i] && i != static_cast<size_t>(schema::Space::Mapped))
      device.driver().cuMemFree(bases[i]);
  if (mapped)
    device.driver().cuMemFreeHost(mapped);
}

void Spaces::fill(schema::Space space, unsigned char value) const {
  if (bytes(space) == 0)
    return;
  const Driver &driver = device.driver();
  driver.check(driver.cuMemsetD8Async(base(space), value, bytes(space), device.stream()), "cuMemsetD8Async",
               schema::EnumNameSpace(space));
}

Staging::Staging(const Device &device) : device(device) {
  const Driver &driver = device.driver();
  for (Piece &piece : pieces) {
    Result result = driver.cuMemHostAlloc(reinterpret_cast<void **>(&piece.host), pieceBytes, 0);
    if (result == success)
      result = driver.cuEventCreate(&piece.sent, eventDisableTiming);
    if (result != success) {
      release();
      driver.raise(result, "cuMemHostAlloc", std::to_string(pieceBytes) + " bytes of page-locked host memory");
    }
  }
}

Staging::~Staging() {
  device.driver().cuStreamSynchronize(device.stream()); // copies may still read the pieces
  release();
}

void Staging::release() {
  for (Piece &piece : pieces) {
    if (piece.sent)
      device.driver().cuEventDestroy(piece.sent);
    if (piece.host)
      device.driver().cuMemFreeHost(piece.host);
  }
}

std::byte *Staging::reserve(size_t bytes) {
  if (used + bytes > pieceBytes) {
    const Driver &driver = device.driver();
    driver.check(driver.cuEventRecord(pieces[current].sent, device.stream()), "cuEventRecord", "staging");
    pieces[current].pending = true;
    current ^= 1;
    used = 0;
    if (pieces[current].pending)
      driver.check(driver.cuEventSynchronize(pieces[current].sent), "cuEventSynchronize", "copy to the device");
    pieces[current].pending = false;
  }
  return pieces[current].host + used;
}

void Staging::send(DevicePtr to, size_t bytes) {
  const Driver &driver = device.driver();
  driver.check(driver.cuMemcpyHtoDAsync(to, pieces[current].host + used, bytes, device.stream()), "cuMemcpyHtoDAsync",
               std::to_string(bytes) + " bytes");
  used = std::min(pieceBytes, (used + bytes + alignment - 1) / alignment * alignment);
}

void Staging::write(DevicePtr to, const void *from, size_t bytes) {
  auto source = static_cast<const std::byte *>(from);
  while (bytes > 0) {
    size_t piece = std::min(bytes, pieceBytes);
    std::memcpy(reserve(piece), source, piece);
    send(to, piece);
    to += piece;
    source += piece;
    bytes -= piece;
  }
}

void Staging::read(void *to, DevicePtr from, size_t bytes, const std::string &thing) {
  const Driver &driver = device.driver();
  auto target = static_cast<std::byte *>(to);
  do {
    size_t piece = std::min(bytes, pieceBytes);
    // Stream order keeps this behind the copies that still read the piece.
    driver.check(driver.cuMemcpyDtoHAsync(pieces[0].host, from, piece, device.stream()), "cuMemcpyDtoHAsync", thing);
    device.synchronize(thing);
    std::memcpy(target, pieces[0].host, piece);
    target += piece;
    from += piece;
    bytes -= piece;
  } while (bytes > 0);
  // Nothing is on its way any more.
  pieces[0].pending = pieces[1].pending = false;
  current = used = 0;
}

Inputs::Inputs(const schema::Program &program, const Spaces &spaces, Staging &staging)
    : staging(staging), base(spaces.base(schema::Space::State)), copy(spaces.bytes(schema::Space::State)),
      stretchOf(program.buffers()->size(), -1) {
  std::vector<bool> isInput(stretchOf.size());
  for (const schema::Entry *entry : *program.entries())
    for (const schema::Binding *binding : *entry->inputs())
      isInput[binding->buffer()] = true;
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < stretchOf.size(); ++i)
    if (program.buffers()->Get(i)->space() == schema::Space::State)
      order.push_back(i);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return program.buffers()->Get(a)->offset() < program.buffers()->Get(b)->offset();
  });
  bool open = false; // a buffer that the device writes ends a stretch: its bytes here would be stale
  for (uint32_t i : order) {
    if (isInput[i] && !open)
      stretches.emplace_back();
    if (isInput[i])
      stretchOf[i] = static_cast<int32_t>(stretches.size()) - 1;
    open = isInput[i];
  }
}

void Inputs::write(const schema::Buffer &buffer, uint32_t index, const void *from, size_t bytes) {
  Stretch &stretch = stretches[stretchOf[index]];
  const uint64_t begin = buffer.offset(), end = begin + bytes;
  std::memcpy(copy.data() + begin, from, bytes);
  const bool empty = stretch.begin == stretch.end;
  stretch.begin = empty ? begin : std::min(stretch.begin, begin);
  stretch.end = empty ? end : std::max(stretch.end, end);
}

void Inputs::send() {
  for (Stretch &stretch : stretches) {
    if (stretch.begin != stretch.end)
      staging.write(base + stretch.begin, copy.data() + stretch.begin, stretch.end - stretch.begin);
    stretch = {};
  }
}

void uploadConstants(const schema::Program &program, const Weights &weights, const Spaces &spaces, Staging &staging,
                     kernels::HostMath &math) {
  const Range range("upload");
  for (const schema::Constant *constant : *program.constants()) {
    ConstantMaker maker(weights, program, *constant);
    for (uint32_t part = 0; part < constant->parts()->size(); ++part) {
      const schema::Buffer &buffer = *program.buffers()->Get(constant->parts()->Get(part)->buffer());
      const kernels::DType type = dtypeOf(buffer);
      const uint64_t elements = kernels::elementsIn(type, buffer.bytes()),
                     piece = kernels::elementsIn(type, Staging::pieceBytes); // whole bytes
      for (uint64_t first = 0, count; first < elements; first += count) {
        count = std::min(piece, elements - first);
        const uint64_t bytes = kernels::bytesOf(type, count);
        maker.write(part, Layout::Device, first, count, staging.reserve(bytes), math);
        staging.send(spaces.at(buffer) + kernels::bytesOf(type, first), bytes);
      }
    }
  }
}

} // namespace nanort::cuda
