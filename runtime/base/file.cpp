#include "runtime/base/file.h"
#include "runtime/base/error.h"
#include "runtime/base/text.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <mutex>
#include <set>
#include <sys/file.h>
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

// Paths for removeTemporaries(), which may allocate nothing and wait for nobody: their memory is never given back.
struct Temporary {
  std::atomic<bool> isTaken, isThere;
  char path[4096];
};
Temporary temporaries[64];

/// -1 if there are too many, or the path is too long: those stay behind if the process is killed.
int remember(const std::filesystem::path &path) {
  if (path.native().size() >= sizeof Temporary::path)
    return -1;
  for (int slot = 0; slot < std::ssize(temporaries); ++slot)
    if (bool taken = false; temporaries[slot].isTaken.compare_exchange_strong(taken, true)) {
      std::strcpy(temporaries[slot].path, path.c_str());
      temporaries[slot].isThere = true;
      return slot;
    }
  return -1;
}

void forget(int slot) {
  if (slot < 0)
    return;
  temporaries[slot].isThere = false;
  temporaries[slot].isTaken = false;
}

// Mappings for nameOfMapping(), likewise; others have no name there.
std::atomic<const MappedFile *> mappings[64];

constexpr std::string_view temporaryStem = ".nano-", temporaryEnd = ".tmp";

/// Once a folder. Who writes a temporary file holds its lock from soon after its beginning: what is older and can be
/// locked belongs to nobody.
void removeStale(const std::filesystem::path &folder) {
  static std::mutex mutex;
  static std::set<std::filesystem::path> seen;
  std::error_code ignored;
  if (const std::lock_guard lock(mutex); !seen.insert(std::filesystem::weakly_canonical(folder, ignored)).second)
    return;
  const auto old = std::filesystem::file_time_type::clock::now() - std::chrono::minutes(1);
  for (const auto &entry : std::filesystem::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(temporaryStem) || !name.ends_with(temporaryEnd) || !entry.is_regular_file(ignored) ||
        entry.last_write_time(ignored) > old)
      continue;
    const Descriptor file{::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
    if (file.fd >= 0 && ::flock(file.fd, LOCK_EX | LOCK_NB) == 0)
      ::unlink(entry.path().c_str());
  }
}

} // namespace

void removeTemporaries() {
  for (const Temporary &temporary : temporaries)
    if (temporary.isThere)
      ::unlink(temporary.path);
}

const char *nameOfMapping(const void *address) {
  const auto *at = static_cast<const std::byte *>(address);
  for (std::atomic<const MappedFile *> &mapping : mappings)
    if (const MappedFile *file = mapping.load())
      if (const std::span<const std::byte> bytes = file->bytes();
          at >= bytes.data() && at < bytes.data() + bytes.size())
        return file->path().c_str();
  return nullptr;
}

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
  for (std::atomic<const MappedFile *> &mapping : mappings)
    if (const MappedFile *nothing = nullptr; mapping.compare_exchange_strong(nothing, mapped.get()))
      break;
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
  for (std::atomic<const MappedFile *> &mapping : mappings)
    if (const MappedFile *self = this; mapping.compare_exchange_strong(self, nullptr))
      break;
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
  target = followLinks(target); // the link itself stays
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(target, ignored);
  if (std::filesystem::is_directory(status))
    failWrite(path, EISDIR);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    fd = ::open(target.c_str(), O_WRONLY | O_CLOEXEC); // a device such as /dev/null is written, never replaced
    if (fd < 0)
      failWrite(path, errno);
    return;
  }
  const std::filesystem::path folder = target.has_parent_path() ? target.parent_path() : ".";
  removeStale(folder);
  // A short name of its own: target's name plus a suffix could exceed the file system's limit.
  static std::atomic<unsigned> counter{0};
  int error = 0;
  do {
    temporary = target.parent_path() / (std::string(temporaryStem) + std::to_string(::getpid()) + "-" +
                                        std::to_string(counter++) + std::string(temporaryEnd));
    slot = remember(temporary);
    fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    error = fd < 0 ? errno : 0;
    if (fd < 0)
      forget(std::exchange(slot, -1)); // it is another's
  } while (error == EEXIST);
  if (fd < 0) {
    temporary.clear();
    failWrite(path, error);
  }
  ::flock(fd, LOCK_EX | LOCK_NB); // where the file system has no locks, nobody else gets one either
}

AtomicFile::~AtomicFile() {
  if (fd >= 0 && fd != STDOUT_FILENO)
    ::close(fd);
  if (!temporary.empty())
    ::unlink(temporary.c_str());
  forget(slot);
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
  forget(std::exchange(slot, -1));
}

std::filesystem::path followLinks(std::filesystem::path path) {
  std::error_code ignored;
  for (int links = 0; links < 40 && std::filesystem::is_symlink(path, ignored); ++links) // as many as Linux follows
    path = path.parent_path() / std::filesystem::read_symlink(path, ignored);
  return path;
}

std::string readText(const std::filesystem::path &path) {
  constexpr size_t limit = size_t{1} << 30; // a runaway pipe or device ends in a message, not in exhausted memory
  const bool standardInput = path == "-";
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  const Descriptor file{standardInput ? ::dup(STDIN_FILENO) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat status = {};
  if (file.fd < 0 || ::fstat(file.fd, &status) != 0)
    failRead(path, errno);
  if (!standardInput) {
    // A descriptor's own name (/dev/stdin, a shell's <(...)) leads to a pipe that somebody has open.
    const std::string &name = path.native();
    if (S_ISFIFO(status.st_mode) && !name.starts_with("/dev/") && !name.starts_with("/proc/"))
      fail(Exit::Input,
           "cannot read " + quote(name) + ": it is a FIFO, which might wait for ever; pass - and < " + name);
    ::fcntl(file.fd, F_SETFL, ::fcntl(file.fd, F_GETFL) & ~O_NONBLOCK);
  }
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
