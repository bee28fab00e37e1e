// A pickle: as data with the names that checkpoints use, and as a tokenizer.
#include "compiler/import/Pickle.h"
#include "compiler/import/PickleText.h"
#include "compiler/import/TokenizerConversion.h"
#include "tests/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  static const std::set<std::string> allowed = {"torch._utils._rebuild_tensor_v2", "torch.FloatStorage",
                                                "collections.OrderedDict"};
  fuzz::expectRefusalOrSuccess([&] { nanocc::Pickle(bytes, "fuzz", allowed); });
  fuzz::expectRefusalOrSuccess([&] { nanocc::tokenizerJson(bytes, "fuzz", 300); });
  return 0;
}
