#include "runtime/measure/timing.h"

#include <algorithm>
#include <cstring>
#include <random>

namespace nanort::cuda {

namespace {

/// Of either element type finite and of about 1 in magnitude: pairs of bf16, whose upper one decides as f32.
const std::vector<uint16_t> &randomPattern() {
  static const std::vector<uint16_t> pattern = [] {
    std::vector<uint16_t> values(1 << 20);
    std::mt19937 generator(1);
    std::normal_distribution<float> normal;
    for (uint16_t &value : values) {
      const float x = normal(generator);
      uint32_t bits;
      std::memcpy(&bits, &x, sizeof bits);
      value = static_cast<uint16_t>(bits >> 16);
    }
    return values;
  }();
  return pattern;
}

} // namespace

Image::Image(const Device &device, const std::vector<char> &bytes, const std::string &name, uint32_t sharedBytes)
    : device(device) {
  const Driver &driver = device.driver();
  driver.check(driver.cuModuleLoadData(&module, bytes.data()), "cuModuleLoadData", name);
  try {
    driver.check(driver.cuModuleGetFunction(&function, module, name.c_str()), "cuModuleGetFunction", name);
    if (sharedBytes > 0)
      driver.check(driver.cuFuncSetAttribute(function, functionMaxDynamicSharedBytes, static_cast<int>(sharedBytes)),
                   "cuFuncSetAttribute", name);
    driver.check(driver.cuFuncSetAttribute(function, functionSharedCarveout, 100), "cuFuncSetAttribute", name);
  } catch (...) {
    driver.cuModuleUnload(module);
    throw;
  }
}

Image::~Image() { device.driver().cuModuleUnload(module); }

EventClock::EventClock(const Device &device) : device(device) {
  device.makeCurrent();
  for (Event &event : events)
    if (Result result = device.driver().cuEventCreate(&event, 0)) {
      release();
      device.driver().raise(result, "cuEventCreate", device.name());
    }
}

EventClock::~EventClock() { release(); }

void EventClock::release() {
  for (Event event : events)
    if (event)
      device.driver().cuEventDestroy(event);
}

void EventClock::start(const std::string &thing) {
  device.driver().check(device.driver().cuEventRecord(events[0], device.stream()), "cuEventRecord", thing);
}

double EventClock::stopUs(const std::string &thing) {
  const Driver &driver = device.driver();
  driver.check(driver.cuEventRecord(events[1], device.stream()), "cuEventRecord", thing);
  device.synchronize(thing);
  float milliseconds = 0;
  driver.check(driver.cuEventElapsedTime(&milliseconds, events[0], events[1]), "cuEventElapsedTime", thing);
  return 1e3 * static_cast<double>(milliseconds);
}

Operand::Operand(const Device &device, uint64_t bytes) : device(device) {
  const std::string thing = "operand of " + std::to_string(bytes) + " bytes";
  const Driver &driver = device.driver();
  driver.check(driver.cuMemAlloc(&address, bytes), "cuMemAlloc", thing);
  if (Result result = driver.cuMemsetD8Async(address, 0, bytes, device.stream())) {
    driver.cuMemFree(address);
    driver.raise(result, "cuMemsetD8Async", thing);
  }
}

Operand::Operand(const Device &device, Staging &staging, uint64_t bytes, uint64_t shift)
    : Operand(device, bytes) { // complete from here on: freed if what follows throws
  const std::vector<uint16_t> &pattern = randomPattern();
  uint64_t from = shift % pattern.size() * sizeof(uint16_t), piece;
  for (uint64_t at = 0; at < bytes; at += piece, from = 0) {
    piece = std::min(pattern.size() * sizeof(uint16_t) - from, bytes - at);
    staging.write(address + at, pattern.data() + from / sizeof(uint16_t), piece);
  }
}

Operand::~Operand() { device.driver().cuMemFree(address); }

TimedChain::TimedChain(const Device &device, std::string kernel, std::string choice, uint32_t launches,
                       std::shared_ptr<const void> held)
    : kernel(std::move(kernel)), choice(std::move(choice)), launches(launches), held(std::move(held)), graph(device) {}

double TimedChain::run(EventClock &clock) const {
  clock.start(kernel);
  graph.launch(kernel);
  return clock.stopUs(kernel) / launches;
}

double TimedChain::us() const {
  std::vector<double> sorted = times;
  std::sort(sorted.begin(), sorted.end());
  const size_t half = sorted.size() / 2;
  return sorted.size() % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

void takeTurns(const std::vector<std::unique_ptr<TimedChain>> &chains, EventClock &clock, int rounds) {
  std::vector<TimedChain *> turns;
  for (const auto &chain : chains) {
    chain->run(clock); // clocks and caches as they are in the middle of work
    turns.push_back(chain.get());
  }
  std::mt19937 generator(1);
  for (int round = 0; round < rounds; ++round) {
    std::shuffle(turns.begin(), turns.end(), generator);
    for (TimedChain *chain : turns)
      chain->times.push_back(chain->run(clock));
  }
}

} // namespace nanort::cuda
