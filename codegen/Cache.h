// On-disk cubin cache: content hash in, bytes out, atomic rename.
#pragma once

#include "codegen/Nvrtc.h"

#include <atomic>
#include <filesystem>
#include <optional>

namespace codegen {

class Cache {
public:
  /// `directory` empty: $NANORT_CACHE_DIR, $XDG_CACHE_HOME/nanocc, ~/.cache/nanocc. A directory that cannot be written
  /// is not an error: lookups miss and stores do nothing (read-only home).
  static Cache open(const std::filesystem::path &directory = {});
  static Cache disabled() { return Cache(); }

  /// From the cache (then `found` is raised), or compiled and stored. Key: SHA-256 of source, target, options, NVRTC
  /// version.
  std::vector<char> compile(Nvrtc &nvrtc, const std::string &name, const std::string &source, const std::string &target,
                            std::atomic<size_t> *found = nullptr);
  const std::filesystem::path &directory() const { return root; } // empty: disabled

private:
  std::filesystem::path root;
};

/// Compiles many kernels on all cores. Results are in the order of `jobs`; `found` gets how many came from the cache.
struct CompileJob {
  std::string name, source;
};
std::vector<std::vector<char>> compileAll(Cache &cache, Nvrtc &nvrtc, const std::vector<CompileJob> &jobs,
                                          const std::string &target, size_t *found = nullptr);

} // namespace codegen
