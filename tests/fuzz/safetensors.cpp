// A safetensors file: its header, and every byte of every tensor.
#include "runtime/base/safetensors.h"
#include "tests/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const std::filesystem::path file = fuzz::fileOf({data, size}, "model.safetensors");
  fuzz::expectRefusalOrSuccess([&] {
    const auto tensors = nanort::Safetensors::open(file);
    for (const auto &[name, tensor] : tensors.tensors()) {
      std::vector<std::byte> copy(tensor.data.size());
      tensors.read(tensor, 0, copy);
      if (!std::equal(copy.begin(), copy.end(), tensor.data.begin()))
        std::abort();
    }
    tensors.at("no such tensor"); // refused by name
  });
  return 0;
}
