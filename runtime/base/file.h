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

/// The path of the file that is mapped at an address, null if none is known to be. For a signal's handler.
const char *nameOfMapping(const void *address);

/// Writes into a temporary file beside `path`; commit() syncs and renames it into place. Without a commit the
/// destructor removes it, so a full disk or an exception leaves the old file, or none. A link is followed, whether or
/// not there is a file at its end. What earlier processes left behind in the folder when they were killed is removed.
/// "-" is standard output. Errors: Exit::Input naming the file and the system's reason.
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
  int slot = -1; // among those that removeTemporaries() knows
};

/// Of all that are being written. May be called from a signal's handler; the process must end then.
void removeTemporaries();

/// What a link leads to, through further ones, whether or not there is a file; another path as it is.
std::filesystem::path followLinks(std::filesystem::path path);

/// Whole text file, or standard input for "-". A FIFO that has a name is refused: opening it would wait for whoever
/// writes it. Errors: Exit::Input naming the file and the reason.
std::string readText(const std::filesystem::path &path);

} // namespace nanort
