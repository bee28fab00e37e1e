#include "runtime/cuda/stamps.h"

namespace nanort::cuda {

Stamps::Stamps(const Device &device, size_t launches) : device(device), bytes(launches * wordsBytes) {
  device.driver().check(device.driver().cuMemAlloc(&base, bytes), "cuMemAlloc", "times of launches");
  clear();
}

Stamps::~Stamps() { device.driver().cuMemFree(base); }

void Stamps::clear() const {
  device.driver().check(device.driver().cuMemsetD8Async(base, 0xff, bytes, device.stream()), "cuMemsetD8Async",
                        "times of launches");
}

std::vector<LaunchTime> Stamps::read(Staging &staging, size_t first, size_t count, const std::string &thing) const {
  std::vector<uint64_t> words(2 * count);
  if (count > 0)
    staging.read(words.data(), at(first), words.size() * sizeof words[0], thing);
  std::vector<LaunchTime> times(count);
  for (size_t i = 0; i < count; ++i)
    if (words[2 * i] != UINT64_MAX)
      times[i] = {words[2 * i], ~words[2 * i + 1]};
  return times;
}

} // namespace nanort::cuda
