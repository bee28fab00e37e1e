// What timing kernels takes: a clock, operands, images loaded for it, and chains of launches that take turns.
#pragma once

#include "runtime/cuda/graph.h"
#include "runtime/cuda/memory.h"

#include <memory>
#include <string>
#include <vector>

namespace nanort::cuda {

/// Two events and what lies between them.
class EventClock {
public:
  explicit EventClock(const Device &device);
  ~EventClock();
  EventClock(const EventClock &) = delete;
  EventClock &operator=(const EventClock &) = delete;

  void start(const std::string &thing);
  double stopUs(const std::string &thing); // waits

private:
  void release();

  const Device &device;
  Event events[2] = {};
};

/// A loaded image, so that nothing is left of it when what follows fails.
class Image {
public:
  Image(const Device &device, const std::vector<char> &bytes, const std::string &name, uint32_t sharedBytes);
  ~Image();
  Image(const Image &) = delete;
  Image &operator=(const Image &) = delete;

  Function function = nullptr;

private:
  const Device &device;
  Module module = nullptr;
};

/// Device memory for a kernel to work on.
class Operand {
public:
  Operand(const Device &device, uint64_t bytes); // zeros
  /// Random, of N(0, 1), as bf16 or f32: 2^20 elements of two bytes over and over, from the one of index `shift` on.
  Operand(const Device &device, Staging &staging, uint64_t bytes, uint64_t shift = 0);
  ~Operand();
  Operand(const Operand &) = delete;
  Operand &operator=(const Operand &) = delete;

  DevicePtr address = 0;

private:
  const Device &device;
};

/// One way to compute something, as a chain of launches in a graph: who derives from it fills that.
class TimedChain {
public:
  virtual ~TimedChain() = default;
  double us() const; // of a launch: median over the rounds

  const std::string kernel, choice;

protected:
  /// `held`: what the graph's nodes need.
  TimedChain(const Device &device, std::string kernel, std::string choice, uint32_t launches,
             std::shared_ptr<const void> held);

  const uint32_t launches;

private:
  friend void takeTurns(const std::vector<std::unique_ptr<TimedChain>> &chains, EventClock &clock, int rounds);
  double run(EventClock &clock) const;

  std::vector<double> times; // us a launch, by round
  const std::shared_ptr<const void> held;

protected:
  Graph graph; // goes before what it needs
};

/// After each has run once, chains take turns, every round in another order (of a fixed seed), so that all see the same
/// clocks: large products run at the limit of power, and whoever has the turn inherits the clock that the one before
/// left. On an H100 80GB HBM3, 700 W, at 8192 x 8192 x 8192 (1,300 to 1,480 MHz of 1,980), the best of wgemm took 1.09
/// to 1.13 times as long as the best of cuBLASLt where each always followed the same neighbour, 1.05 times in shuffled
/// turns, and 1.02 times in bursts too short to meet the limit.
void takeTurns(const std::vector<std::unique_ptr<TimedChain>> &chains, EventClock &clock, int rounds);

} // namespace nanort::cuda
