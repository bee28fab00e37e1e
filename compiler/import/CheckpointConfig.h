// From a checkpoint to a model's facts: which generation it is, what the caller knows better, whether the tensors
// agree.
#pragma once

#include "compiler/import/Checkpoint.h"
#include "compiler/import/ModelConfig.h"

#include <cstdint>
#include <optional>
#include <string>

namespace nanocc {

/// What the command line says about a model; checkpoints do not record most of it.
struct Overrides {
  std::optional<char> generation = {};
  std::optional<double> softcap = {}, ropeBase = {}, qkMult = {}, gateScale = {};
  std::optional<std::string> windowPattern = {};
  std::optional<uint64_t> shortWindow = {};
};

/// Replaces constants of `config` (its generation applied already). Errors: Exit::Usage for a value that makes no sense
/// or that the model has no use for.
void applyOverrides(ModelConfig &config, const Overrides &overrides, const std::string &windowPattern);

/// The generation whose tensors these are, by the newest part that occurs.
char detectGeneration(const std::map<std::string, TensorInfo> &tensors);

/// The facts of a checkpoint's model. Errors: Exit::Input (dimensions), Exit::Unsupported (engram models), Exit::Usage.
ModelConfig configOf(const Checkpoint &checkpoint, const Overrides &overrides);

/// Every tensor of `config` is there with its shape, as F32 or BF16, and nothing else is, unless `ignoreExtra`. Errors:
/// Exit::Input naming the tensor, the expected and the found shape; Exit::Unsupported for another dtype.
void checkTensors(const Checkpoint &checkpoint, const ModelConfig &config, bool ignoreExtra);

} // namespace nanocc
