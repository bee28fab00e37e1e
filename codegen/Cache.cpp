#include "codegen/Cache.h"

#include "runtime/base/error.h"
#include "runtime/base/file.h"
#include "runtime/base/sha256.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <thread>

namespace fs = std::filesystem;

namespace codegen {

static fs::path defaultDirectory() {
  auto environment = [](const char *name) -> fs::path {
    const char *value = std::getenv(name);
    return value ? value : "";
  };
  if (fs::path own = environment("NANORT_CACHE_DIR"); !own.empty())
    return own;
  if (fs::path xdg = environment("XDG_CACHE_HOME"); !xdg.empty())
    return xdg / "nanocc";
  if (fs::path home = environment("HOME"); !home.empty())
    return home / ".cache" / "nanocc";
  return {};
}

Cache Cache::open(const fs::path &directory) {
  Cache cache;
  cache.root = directory.empty() ? defaultDirectory() : directory;
  return cache;
}

static nanort::Sha256 digestOf(const std::string &text) { return nanort::sha256(std::as_bytes(std::span(text))); }

/// A file is the cubin and then its SHA-256, so that a damaged one counts as missing.
static std::vector<char> lookUp(const fs::path &path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error))
    return {};
  try {
    auto file = nanort::MappedFile::open(path);
    auto bytes = file->bytes();
    constexpr size_t tail = sizeof(nanort::Sha256);
    if (bytes.size() <= tail)
      return {};
    auto cubin = bytes.first(bytes.size() - tail);
    if (std::memcmp(nanort::sha256(cubin).data(), bytes.last(tail).data(), tail) != 0)
      return {};
    const char *begin = reinterpret_cast<const char *>(cubin.data());
    return std::vector<char>(begin, begin + cubin.size());
  } catch (const nanort::Error &) {
    return {};
  }
}

static void store(const fs::path &path, const std::vector<char> &cubin) {
  std::error_code error;
  fs::create_directories(path.parent_path(), error);
  if (error)
    return;
  try {
    nanort::AtomicFile file(path);
    auto digest = nanort::sha256(std::as_bytes(std::span(cubin)));
    file.write(cubin.data(), cubin.size());
    file.write(digest.data(), digest.size());
    file.commit();
  } catch (const nanort::Error &) {
    // Read-only or full: the cubin is in memory, and the next run compiles again.
  }
}

std::vector<char> Cache::compile(Nvrtc &nvrtc, const std::string &name, const std::string &source,
                                 const std::string &target, std::atomic<size_t> *found) {
  if (root.empty())
    return nvrtc.compile(name, source, target);
  // "checked": earlier ones may have come from the driver's cache, which says nothing of spills.
  std::string key = "checked cubin of NVRTC " + nvrtc.version() + "\n" + target + "\n";
  for (const char *option : compileOptions)
    key += std::string(option) + "\n";
  const fs::path path = root / (nanort::toHex(digestOf(key + source)) + ".cubin");
  std::vector<char> cubin = lookUp(path);
  if (cubin.empty()) {
    cubin = nvrtc.compile(name, source, target);
    store(path, cubin);
  } else if (found) {
    ++*found;
  }
  return cubin;
}

std::vector<std::vector<char>> compileAll(Cache &cache, Nvrtc &nvrtc, const std::vector<CompileJob> &jobs,
                                          const std::string &target, size_t *found) {
  std::vector<std::vector<char>> cubins(jobs.size());
  std::vector<std::exception_ptr> failures(jobs.size());
  std::atomic<size_t> next = 0, hits = 0;
  auto work = [&] {
    for (size_t i; (i = next++) < jobs.size();)
      try {
        cubins[i] = cache.compile(nvrtc, jobs[i].name, jobs[i].source, target, &hits);
      } catch (...) {
        failures[i] = std::current_exception();
        next = jobs.size();
      }
  };
  {
    const size_t threads = std::min<size_t>(jobs.size(), std::max(1u, std::thread::hardware_concurrency()));
    std::vector<std::jthread> pool;
    for (size_t i = 1; i < threads; ++i)
      pool.emplace_back(work);
    work();
  }
  for (const std::exception_ptr &failure : failures)
    if (failure)
      std::rethrow_exception(failure);
  if (found)
    *found = hits;
  return cubins;
}

} // namespace codegen
