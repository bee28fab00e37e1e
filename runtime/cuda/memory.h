// Device memory of a program: one allocation per space, and how bytes travel between host and device.
#pragma once

#include "kernels_templates/base/host_math.h"
#include "runtime/cuda/device.h"
#include "runtime/executor/executor.h"
#include "runtime/plan/plan.h"

#include <array>
#include <vector>

namespace nanort::cuda {

/// Exactly the bytes of Program.memory, one allocation per space that is not empty. Mapped memory is the host's.
class Spaces {
public:
  /// Errors: Exit::Memory naming the space, the bytes asked and the bytes free.
  Spaces(const Device &device, const schema::Program &program);
  ~Spaces();
  Spaces(const Spaces &) = delete;
  Spaces &operator=(const Spaces &) = delete;

  DevicePtr base(schema::Space space) const { return bases[static_cast<size_t>(space)]; }
  uint64_t bytes(schema::Space space) const { return sizes[static_cast<size_t>(space)]; }
  DevicePtr at(const schema::Buffer &buffer) const { return base(buffer.space()) + buffer.offset(); }
  /// A buffer in mapped memory as the host sees it.
  std::byte *host(const schema::Buffer &buffer) const { return mapped + buffer.offset(); }
  /// Sets every byte of a space, in stream order.
  void fill(schema::Space space, unsigned char value) const;

private:
  static constexpr size_t count = 6;
  Result allocate(size_t space);
  void release();

  const Device &device;
  std::array<DevicePtr, count> bases = {};
  std::array<uint64_t, count> sizes = {};
  std::byte *mapped = nullptr;
};

/// Two page-locked pieces of host memory through which every copy goes: one is filled while the other is on its way,
/// and no copy waits for pageable memory. Copies are ordered with launches; a write's source may be reused on return.
class Staging {
public:
  explicit Staging(const Device &device);
  ~Staging();
  Staging(const Staging &) = delete;
  Staging &operator=(const Staging &) = delete;

  static constexpr size_t pieceBytes = size_t{8} << 20;

  void write(DevicePtr to, const void *from, size_t bytes);
  /// Room for at most PieceBytes to be filled by the caller, then sent by send().
  std::byte *reserve(size_t bytes);
  void send(DevicePtr to, size_t bytes);
  /// Copies from the device and waits. An error may come from any earlier launch; `thing` says so.
  void read(void *to, DevicePtr from, size_t bytes, const std::string &thing);

private:
  struct Piece {
    std::byte *host = nullptr;
    Event sent = nullptr; // recorded when the piece was given up for the other one
    bool pending = false;
  };
  void release();

  const Device &device;
  std::array<Piece, 2> pieces;
  size_t current = 0, used = 0;
};

/// The state buffers that the host alone writes, as a host copy: a step's small inputs are collected here and travel in
/// one transfer a stretch of neighbours (a program's inputs are one stretch), without waiting for the device.
class Inputs {
public:
  Inputs(const schema::Program &program, const Spaces &spaces, Staging &staging);

  bool contains(uint32_t buffer) const { return stretchOf[buffer] >= 0; }
  void write(const schema::Buffer &buffer, uint32_t index, const void *from, size_t bytes);
  /// Enqueues what was written since the last call.
  void send();

private:
  struct Stretch {
    uint64_t begin = 0, end = 0; // what was written since the last transfer, in the state space; empty if equal
  };
  Staging &staging;
  DevicePtr base;
  std::vector<std::byte> copy; // of the whole state space, which starts as zeros
  std::vector<Stretch> stretches;
  std::vector<int32_t> stretchOf; // by buffer; -1: not an input
};

/// Makes every part of the program's constants, as the device has them, and moves it to its place: piece by piece, by
/// all threads of `math` straight into page-locked memory, while the piece before is on its way.
void uploadConstants(const schema::Program &program, const Weights &weights, const Spaces &spaces, Staging &staging,
                     kernels::HostMath &math);

} // namespace nanort::cuda
