// What a command writes never replaces what it reads.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace nanort {

/// A file of a command and what it is to it: {"--logits", "x.safetensors"}, {"the plan's weights",
/// "model.safetensors"}.
struct NamedPath {
  std::string what;
  std::filesystem::path path;
};

/// Before anything is written. Two paths are one file if they lead to it, by whatever links, or will when it exists;
/// what is no regular file, "-" and the empty path replace nothing, and no input that is not there is replaced. Errors:
/// Exit::Usage if an output is an input, whether that is read or only named, or another output.
void checkOutputs(const std::vector<NamedPath> &inputs, const std::vector<NamedPath> &outputs);

} // namespace nanort
