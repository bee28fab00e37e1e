// What tests share: temporary directories, files, and asserting on errors.
#pragma once

#include "runtime/base/error.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <iterator>
#include <string>
#include <unistd.h>

namespace nanotest {

/// A directory that goes away with the test.
class TemporaryDirectory {
public:
  TemporaryDirectory() {
    std::string name = std::filesystem::temp_directory_path() / "nanotest-XXXXXX";
    if (!mkdtemp(name.data()))
      throw std::runtime_error("cannot make " + name);
    path = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path operator/(const std::string &name) const { return path / name; }

  std::filesystem::path path;
};

inline void writeFile(const std::filesystem::path &path, const std::string &text) {
  std::filesystem::remove(path); // truncating a file makes ext4 flush it, which thousands of rounds feel
  std::ofstream(path, std::ios::binary) << text;
}

inline std::string readFile(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline size_t filesIn(const std::filesystem::path &directory) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(directory), {}));
}

/// Runs `action`, which must fail with `code` and a one-line message that contains `part`.
inline void expectError(nanort::Exit code, const std::string &part, const std::function<void()> &action) {
  try {
    action();
    ADD_FAILURE() << "nothing failed, expected: " << part;
  } catch (const nanort::Error &error) {
    EXPECT_EQ(error.code, code) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what() << "\nlacks: " << part;
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
  }
}

} // namespace nanotest
