#include "tests/unit/case_memory.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace nanotest {

namespace {

// A multiple of every alignment a kernel may count on, and more than one vector access.
constexpr size_t guardBytes = 4096;
constexpr int guardByte = 0x5a;

size_t padded(size_t bytes) { return (bytes + 255) / 256 * 256; }

bool isScratch(const Case &c, size_t buffer) { return c.arg(buffer).access == kernels::Access::Scratch; }
bool isOutput(const Case &c, size_t buffer) {
  return c.arg(buffer).access == kernels::Access::Out || isScratch(c, buffer);
}

} // namespace

CaseMemory layOut(const Case &c, int fill) {
  CaseMemory memory;
  size_t total = guardBytes;
  for (const auto &buffer : c.buffers) {
    memory.offsets.push_back(total);
    total += padded(buffer.size()) + guardBytes;
  }
  memory.image.assign(total, std::byte{guardByte});
  for (size_t b = 0; b < c.buffers.size(); ++b) {
    if (isOutput(c, b))
      std::memset(memory.image.data() + memory.offsets[b], fill, c.buffers[b].size());
    else
      std::memcpy(memory.image.data() + memory.offsets[b], c.buffers[b].data(), c.buffers[b].size());
  }
  return memory;
}

std::optional<std::vector<std::vector<std::byte>>> buffersAfter(const Case &c, const CaseMemory &before,
                                                                const std::vector<std::byte> &after, std::string &why) {
  std::vector<std::vector<std::byte>> result;
  size_t guard = 0; // start of the bytes that nothing may have written
  for (size_t b = 0; b <= c.buffers.size(); ++b) {
    size_t end = b < c.buffers.size() ? before.offsets[b] : after.size();
    for (size_t i = guard; i < end; ++i)
      if (after[i] != before.image[i]) {
        why = "writes outside its buffers, " +
              (b == 0 ? std::to_string(end - i) + " bytes before the first"
                      : std::to_string(i - guard) + " bytes past the end of " + std::string(c.arg(b - 1).name));
        return std::nullopt;
      }
    if (b == c.buffers.size())
      break;
    guard = before.offsets[b] + c.buffers[b].size();
    if (c.arg(b).access == kernels::Access::In &&
        std::memcmp(&after[before.offsets[b]], &before.image[before.offsets[b]], c.buffers[b].size()) != 0) {
      why = "writes its input " + std::string(c.arg(b).name);
      return std::nullopt;
    }
    result.emplace_back(after.begin() + before.offsets[b], after.begin() + guard);
    if (isScratch(c, b)) // holds no result
      std::fill(result.back().begin(), result.back().end(), std::byte{0});
  }
  return result;
}

std::string compareOutputs(const Case &expected, const std::vector<std::vector<std::byte>> &actual, double &worst) {
  Case device = expected;
  device.buffers = actual;
  const double tolerance = expected.kernel->tolerance(expected.params);
  std::string message;
  worst = 0;
  for (size_t b = 0; b < expected.buffers.size(); ++b) {
    if (expected.arg(b).access == kernels::Access::In || isScratch(expected, b))
      continue;
    auto describe = [&](size_t i) {
      return expected.label() + ": " + std::string(expected.arg(b).name) + "[" + std::to_string(i) + "] is " +
             std::to_string(device.get(b, i)) + ", the CPU has " + std::to_string(expected.get(b, i));
    };
    const bool integers = expected.types[b] == kernels::DType::I32 || expected.types[b] == kernels::DType::U32;
    double largest = 0;
    for (size_t i = 0; i < expected.elements(b); ++i)
      if (double value = std::abs(expected.get(b, i)); std::isfinite(value))
        largest = std::max(largest, value);
    for (size_t i = 0; i < expected.elements(b); ++i) {
      const double x = device.get(b, i), y = expected.get(b, i);
      if (x == y || (std::isnan(x) && std::isnan(y)))
        continue;
      if (integers || !std::isfinite(x) || !std::isfinite(y))
        return describe(i);
      // Beside zeros alone nothing is relative: the difference itself counts.
      const double ratio = std::abs(x - y) / (tolerance * (largest > 0 ? largest : 1));
      if (ratio > worst) {
        worst = ratio;
        if (ratio > 1)
          message = describe(i) + ", " + std::to_string(ratio) + " times the tolerance";
      }
    }
  }
  return message;
}

} // namespace nanotest
