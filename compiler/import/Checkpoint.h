// A checkpoint on disk, whichever program wrote it: what its tensors are, and their bytes piece by piece.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nanocc {

struct TensorInfo {
  std::string dtype; // as safetensors spell it: "F32", "BF16", "F16", ...
  std::vector<uint64_t> shape;
};

/// What the checkpoint's own files say about the model, before any generation is decided.
struct Metadata {
  std::string source; // the file it is from, for messages
  uint64_t layers = 0, width = 0, heads = 0, kvHeads = 0, vocab = 0, sequenceLen = 0;
  std::optional<std::string> windowPattern;
  std::optional<double> ropeBase, softcap; // only Hugging Face files record them
};

class Checkpoint {
public:
  virtual ~Checkpoint() = default;

  /// The newest step in `directory` (upstream's model_*.pt and meta_*.json, or Hugging Face's config.json and
  /// model.safetensors), or `step`. Errors: Exit::Input, and Exit::Unsupported for other models' files.
  static std::unique_ptr<Checkpoint> open(const std::filesystem::path &directory, std::optional<uint64_t> step);

  const Metadata &metadata() const { return meta; }
  /// By upstream's names, one leading "_orig_mod." removed.
  const std::map<std::string, TensorInfo> &tensors() const { return infos; }
  /// The file that holds the tensors, for messages.
  const std::filesystem::path &path() const { return file; }

  /// Calls `sink` with the tensor's bytes (row-major, little endian) in order, at most pieceBytes at a time, whole
  /// elements each.
  virtual void read(const std::string &name, const std::function<void(std::span<const std::byte>)> &sink) const = 0;
  static constexpr size_t pieceBytes = size_t{4} << 20;

protected:
  Metadata meta;
  std::map<std::string, TensorInfo> infos;
  std::filesystem::path file;
};

/// The two kinds that Checkpoint::open chooses from.
std::unique_ptr<Checkpoint> openTorchCheckpoint(const std::filesystem::path &directory, std::optional<uint64_t> step);
std::unique_ptr<Checkpoint> openHuggingFaceCheckpoint(const std::filesystem::path &directory);

} // namespace nanocc
