// What the targets share: a fuzzer's bytes as a file, and which refusals are right.
#pragma once

#include "runtime/base/error.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <unistd.h>

namespace fuzz {

/// A folder of this process in memory, for inputs that are read from files. It is left to the system: a fuzzer ends by
/// being stopped.
inline const std::filesystem::path &folder() {
  static const std::filesystem::path path = [] {
    const std::filesystem::path base = std::filesystem::exists("/dev/shm") ? "/dev/shm" : "/tmp";
    const std::filesystem::path made = base / ("nanocc-fuzz-" + std::to_string(getpid()));
    std::filesystem::create_directories(made);
    std::atexit([] {
      std::error_code ignored;
      std::filesystem::remove_all(folder(), ignored);
    });
    return made;
  }();
  return path;
}

/// The file of that name with those bytes.
inline std::filesystem::path fileOf(std::span<const uint8_t> bytes, const std::string &name) {
  const std::filesystem::path path = folder() / name;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(reinterpret_cast<const char *>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return path;
}

/// Runs `read`. Refusals of what a user handed in are right; an internal error, or anything else thrown, is a finding.
template <typename Read> void expectRefusalOrSuccess(Read read) {
  try {
    read();
  } catch (const nanort::Error &error) {
    if (error.code != nanort::Exit::Internal)
      return;
    std::fprintf(stderr, "internal error: %s\n", error.what());
    std::abort();
  }
}

} // namespace fuzz
