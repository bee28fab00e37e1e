// The zip archive of torch.save: opened as a checkpoint, and every tensor read.
#include "compiler/import/Checkpoint.h"
#include "tests/fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static constexpr std::string_view meta = R"({"model_config": {"n_layer": 3, "n_embd": 64, "n_head": 4,
    "n_kv_head": 2, "vocab_size": 300, "sequence_len": 128, "window_pattern": "SL"}})";
  fuzz::fileOf({reinterpret_cast<const uint8_t *>(meta.data()), meta.size()}, "torch/meta_1.json");
  const std::filesystem::path file = fuzz::fileOf({data, size}, "torch/model_1.pt");
  fuzz::expectRefusalOrSuccess([&] {
    const auto checkpoint = nanocc::openTorchCheckpoint(file.parent_path(), std::nullopt);
    for (const auto &[name, info] : checkpoint->tensors())
      checkpoint->read(name, [](std::span<const std::byte>) {});
  });
  return 0;
}
