// Files: read-only mappings and writes that never leave half a file behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace nanort {

/// A whole file mapped read-only. Errors: Exit::Input naming the file and the system's reason.
class MappedFile {
public:
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path &path);
  ~MappedFile();
  std::span<const std::byte> bytes() const { return data; }
  /// Copies a range of bytes(). Faster than through the mapping, whose pages must each be faulted in; and a file that
  /// has been cut meanwhile is an error. May be called from several threads.
  void read(uint64_t offset, std::span<std::byte> to) const;
  const std::filesystem::path &path() const { return name; }

private:
  MappedFile() = default;
  int fd = -1;
  std::span<const std::byte> data;
  std::filesystem::path name;
};

/// Writes into a temporary file beside `path`; commit() syncs and renames it into place. Without a commit the
/// destructor removes it, so a full disk or an exception leaves the old file, or none. "-" is standard output.
class AtomicFile {
public:
  explicit AtomicFile(const std::filesystem::path &path);
  ~AtomicFile();
  AtomicFile(const AtomicFile &) = delete;
  AtomicFile &operator=(const AtomicFile &) = delete;
  void write(const void *data, size_t size);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

private:
  std::filesystem::path target, temporary;
  int fd = -1;
};

/// Whole text file, or standard input for "-".
std::string readText(const std::filesystem::path &path);

} // namespace nanort
