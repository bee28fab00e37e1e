// Checkpoints made by the tests, byte by byte: good ones, and every kind of bad one.
#pragma once

#include "compiler/import/Import.h"
#include "tests/unit/base_errors.h"

#include <optional>
#include <string>
#include <vector>

namespace nanotest {

/// A tensor as torch.save describes it.
struct TorchTensor {
  std::string name;
  std::vector<uint64_t> shape;
  std::string data; // of its storage
  std::string storage = "FloatStorage";
  std::optional<std::vector<int64_t>> strides = {}; // none: contiguous
  int64_t offset = 0;
  std::optional<int64_t> elements = {}; // of the storage; none: what the data has
};

/// data.pkl of a state dict (protocol 2).
std::string torchPickle(const std::vector<TorchTensor> &tensors);

/// A torch.save archive; `pickle` replaces data.pkl, `compressed` deflates the storages.
void writeTorch(const std::filesystem::path &path, const std::vector<TorchTensor> &tensors,
                const std::optional<std::string> &pickle = std::nullopt, bool compressed = false);

/// Pickle instructions.
std::string pickleText(const std::string &text);
std::string pickleInteger(int64_t value);

/// A small model of any generation: 3 layers, width 64, 4 heads, 2 key-value heads, 128 positions, vocabulary 300.
nanocc::ModelConfig tinyConfig(char generation);

/// All of its tensors in f32, random normal numbers that bf16 cannot hold.
std::vector<TorchTensor> tinyTensors(char generation);

/// model_<step>.pt and meta_<step>.json.
void writeCheckpoint(const std::filesystem::path &directory, const std::vector<TorchTensor> &tensors,
                     const std::string &step = "000100");
std::string tinyMeta();

/// Options to import `checkpoint`; what is emitted is "<generation> <windows ...>".
nanocc::ImportOptions importOptions(const std::filesystem::path &checkpoint, const std::filesystem::path &output);

/// A pickled tiktoken Encoding (protocol 4): 256 bytes, `tokens`, then `special` up to `vocab` ids.
std::string tokenizerPickle(const std::vector<std::string> &tokens, size_t vocab);

} // namespace nanotest
