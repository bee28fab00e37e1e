#include "runtime/base/file.h"
#include "runtime/base/error.h"
#include "runtime/base/text.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace nanort {

namespace {

std::string reason(int error) { return std::generic_category().message(error); }

[[noreturn]] void failRead(const std::filesystem::path &path, int error) {
  fail(Exit::Input, "cannot read " + quote(path.native()) + ": " + reason(error));
}

[[noreturn]] void failWrite(const std::filesystem::path &path, int error) {
  fail(Exit::Input, "cannot write " + quote(path.native()) + ": " + reason(error));
}

/// A file descriptor closed on every path out.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0)
      ::close(fd);
  }
};

/// Past a file-size limit (ulimit -f) write() raises SIGXFSZ, whose default kills the process before EFBIG is seen.
/// This holds it back in the writing thread; a pending one is taken out before the mask is restored.
class FileSizeSignalHeld {
public:
  FileSizeSignalHeld() {
    sigemptyset(&signals);
    sigaddset(&signals, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &signals, &before);
  }
  ~FileSizeSignalHeld() {
    const timespec now{};
    if (!sigismember(&before, SIGXFSZ))
      while (sigtimedwait(&signals, nullptr, &now) == SIGXFSZ) {
      }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  FileSizeSignalHeld(const FileSizeSignalHeld &) = delete;
  FileSizeSignalHeld &operator=(const FileSizeSignalHeld &) = delete;

private:
  sigset_t signals, before;
};

} // namespace

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path &path) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer, it is refused below.
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat status;
  if (file.fd < 0 || ::fstat(file.fd, &status) != 0)
    failRead(path, errno);
  if (S_ISDIR(status.st_mode))
    failRead(path, EISDIR);
  if (!S_ISREG(status.st_mode))
    fail(Exit::Input, "cannot map " + quote(path.native()) + ": not a regular file; copy it to one first");
  const auto size = static_cast<size_t>(status.st_size);
  std::shared_ptr<MappedFile> mapped(new MappedFile);
  mapped->name = path;
  if (size == 0) // mmap refuses an empty range
    return mapped;
  void *data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (data == MAP_FAILED)
    failRead(path, errno);
  mapped->data = {static_cast<const std::byte *>(data), size};
  mapped->fd = std::exchange(file.fd, -1);
  return mapped;
}

void MappedFile::read(uint64_t offset, std::span<std::byte> to) const {
  while (!to.empty()) {
    const ssize_t count = ::pread(fd, to.data(), to.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      failRead(name, errno);
    if (count == 0)
      fail(Exit::Input, "cannot read " + quote(name.native()) + ": it was cut while in use, to at most " +
                            std::to_string(offset) + " bytes; put a new file in its place instead of changing it");
    to = to.subspan(static_cast<size_t>(count));
    offset += static_cast<uint64_t>(count);
  }
}

MappedFile::~MappedFile() {
  if (!data.empty())
    ::munmap(const_cast<std::byte *>(data.data()), data.size());
  if (fd >= 0)
    ::close(fd);
}

AtomicFile::AtomicFile(const std::filesystem::path &path) : target(path) {
  if (path == "-") {
    fd = STDOUT_FILENO;
    return;
  }
  std::error_code ignored;
  if (std::filesystem::is_symlink(target, ignored)) {
    // Replace what the link points to, not the link.
    const std::filesystem::path resolved = std::filesystem::weakly_canonical(target, ignored);
    target = ignored ? target : resolved;
  }
  const std::filesystem::file_status status = std::filesystem::status(target, ignored);
  if (std::filesystem::is_directory(status))
    failWrite(path, EISDIR);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    fd = ::open(target.c_str(), O_WRONLY | O_CLOEXEC); // a device such as /dev/null is written, never replaced
    if (fd < 0)
      failWrite(path, errno);
    return;
  }
  // A short name of its own: target's name plus a suffix could exceed the file system's limit.
  static std::atomic<unsigned> counter{0};
  do {
    const std::string name = ".nano-" + std::to_string(::getpid()) + "-" + std::to_string(counter++) + ".tmp";
    temporary = target.parent_path() / name;
    fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (fd < 0 && errno == EEXIST);
  if (fd < 0) {
    const int error = errno;
    temporary.clear();
    failWrite(path, error);
  }
}

AtomicFile::~AtomicFile() {
  if (fd >= 0 && fd != STDOUT_FILENO)
    ::close(fd);
  if (!temporary.empty())
    ::unlink(temporary.c_str());
}

void AtomicFile::write(const void *data, size_t size) {
  const FileSizeSignalHeld held;
  const char *next = static_cast<const char *>(data);
  while (size > 0) {
    const ssize_t count = ::write(fd, next, size);
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      failWrite(target, count < 0 ? errno : ENOSPC);
    next += count;
    size -= static_cast<size_t>(count);
  }
}

void AtomicFile::commit() {
  if (temporary.empty())
    return;
  if (::fsync(fd) != 0)
    failWrite(target, errno);
  const int closing = fd;
  fd = -1;
  if (::close(closing) != 0) // network file systems report a full disk only here
    failWrite(target, errno);
  if (::rename(temporary.c_str(), target.c_str()) != 0)
    failWrite(target, errno);
  temporary.clear();
}

std::string readText(const std::filesystem::path &path) {
  constexpr size_t limit = size_t{1} << 30; // a runaway pipe or device ends in a message, not in exhausted memory
  const bool standardInput = path == "-";
  const Descriptor file{standardInput ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0)
    failRead(path, errno);
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t count = ::read(file.fd, buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR)
      continue;
    if (count < 0)
      failRead(path, errno);
    if (count == 0)
      return text;
    text.append(buffer, static_cast<size_t>(count));
    if (text.size() > limit)
      fail(Exit::Input, "cannot read " + quote(path.native()) + ": larger than 1 GiB, which no text file here is");
  }
}

} // namespace nanort
