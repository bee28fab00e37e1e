// The safetensors format: an 8-byte little-endian header length, a JSON header, then the tensors' bytes.
#pragma once

#include "runtime/base/file.h"

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nanort {

/// One tensor of a file; `data` points into the mapping.
struct Tensor {
  std::string dtype; // "F32", "BF16", "F16", "I32", "I64", ... as the file spells it
  std::vector<uint64_t> shape;
  std::span<const std::byte> data;

  uint64_t elements() const; // product of shape
};

/// A mapped safetensors file. open() checks the header's length, JSON, every range against the file's size, overlap,
/// and that shape and dtype give the range's length. Errors: Exit::Input naming file, tensor and the violated rule.
class Safetensors {
public:
  static Safetensors open(const std::filesystem::path &path);
  const Tensor *find(const std::string &name) const;
  /// As find, but a missing name is Exit::Input listing the nearest ones.
  const Tensor &at(const std::string &name) const;
  /// Copies bytes of a tensor of this file from its `first` on (MappedFile::read).
  void read(const Tensor &tensor, uint64_t first, std::span<std::byte> to) const {
    file->read(static_cast<uint64_t>(tensor.data.data() - file->bytes().data()) + first, to);
  }
  const std::map<std::string, Tensor> &tensors() const { return entries; }
  const std::map<std::string, std::string> &metadata() const { return meta; }
  const std::filesystem::path &path() const { return file->path(); }

private:
  std::shared_ptr<const MappedFile> file;
  std::map<std::string, Tensor> entries;
  std::map<std::string, std::string> meta;
};

/// Streams a file: all headers are declared first, then data comes in the declared order, in pieces of any size.
class SafetensorsWriter {
public:
  struct Declaration {
    std::string name, dtype;
    std::vector<uint64_t> shape;
  };
  SafetensorsWriter(const std::filesystem::path &path, const std::vector<Declaration> &tensors,
                    const std::map<std::string, std::string> &metadata = {});
  ~SafetensorsWriter();
  void write(std::span<const std::byte> piece);
  /// Fails with Exit::Internal if fewer or more bytes came than were declared.
  void commit();

private:
  AtomicFile file;
  uint64_t expected = 0, written = 0;
};

/// Bytes of one element of a safetensors dtype; nullopt for one this project does not know.
std::optional<uint64_t> dtypeBytes(const std::string &dtype);

} // namespace nanort
