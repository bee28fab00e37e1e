// What every end-to-end test needs: the tools as a user runs them, models to run them on, and a scratch folder.
#pragma once

#include "tests/unit/base_errors.h"

#include <vector>

namespace e2e {

using Scratch = nanotest::TemporaryDirectory;
using nanotest::readFile;
using nanotest::writeFile;

struct Result {
  int code; // exit code; 128 + signal if it crashed
  std::string out, err;
};

/// Runs a tool of this build by name with arguments, as a process of its own.
Result run(const std::string &tool, const std::vector<std::string> &arguments, const std::string &input = "");

/// As run, and the test fails with the tool's own message unless it exits 0.
std::string output(const std::string &tool, const std::vector<std::string> &arguments);

std::filesystem::path golden(const std::string &name); // an unpacked reference checkpoint
std::filesystem::path lexicon();                       // examples/lexicon

/// The folder of a checkpoint imported once per process.
std::filesystem::path imported(const std::filesystem::path &checkpoint);
/// A plan of an imported checkpoint, compiled once per process and flags.
std::filesystem::path plan(const std::filesystem::path &checkpoint, const std::vector<std::string> &flags);

} // namespace e2e
