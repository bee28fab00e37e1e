// The importer as a whole: checkpoint directory -> model.mlir, model.safetensors, tokenizer.json.
#pragma once

#include "compiler/import/CheckpointConfig.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace nanocc {

struct ImportOptions {
  std::filesystem::path checkpoint; // unless preset
  std::optional<uint32_t> preset;   // depth
  std::filesystem::path output;
  std::optional<uint64_t> step;
  std::optional<std::filesystem::path> tokenizer;
  bool keepDtype = false, ignoreExtra = false;
  Overrides overrides;
  std::function<std::string(const ModelConfig &)> emit;        // emitModel()
  std::function<void(const std::string &)> log;                // one line
  std::function<void(uint64_t done, uint64_t total)> progress; // bytes of weights
};

/// Writes the output directory's files. All of them are checked and written beside their places first and then renamed,
/// model.mlir last, so that a failure leaves the directory as it was. Output depends on the input's bytes alone.
/// Errors: nanort::Error, as the parts document.
ModelConfig importModel(const ImportOptions &options);

} // namespace nanocc
