// A checkpoint's JSON: upstream's metadata and Hugging Face's config.json, beside sound tensors.
#include "compiler/import/CheckpointConfig.h"
#include "runtime/base/safetensors.h"
#include "tests/fuzz/input.h"
#include "tests/unit/checkpoint_files.h"

using namespace nanocc;

static void openAndCheck(const std::filesystem::path &folder) {
  fuzz::expectRefusalOrSuccess([&] {
    const auto checkpoint = Checkpoint::open(folder, std::nullopt);
    checkTensors(*checkpoint, configOf(*checkpoint, {}), false);
  });
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const bool made = [] {
    std::filesystem::create_directories(fuzz::folder() / "upstream");
    nanotest::writeTorch(fuzz::folder() / "upstream" / "model_1.pt", nanotest::tinyTensors('E'));
    std::filesystem::create_directories(fuzz::folder() / "huggingface");
    nanort::SafetensorsWriter(fuzz::folder() / "huggingface" / "model.safetensors", {}).commit();
    return true;
  }();
  (void)made;
  openAndCheck(fuzz::fileOf({data, size}, "upstream/meta_1.json").parent_path());
  openAndCheck(fuzz::fileOf({data, size}, "huggingface/config.json").parent_path());
  return 0;
}
