#include "compiler/import/CheckpointConfig.h"
#include "runtime/base/error.h"
#include "runtime/base/text.h"

#include <cmath>

namespace nanocc {

using nanort::Exit;
using nanort::fail;
using nanort::quote;
using nanort::shapeText;

namespace {

/// What a constant of the model may be. They are f32 there, which has an end.
struct Bounds {
  double least;
  bool isIncluded;
  const char *text;

  bool hold(double value) const {
    const auto narrow = static_cast<float>(value);
    return std::isfinite(narrow) && (isIncluded ? narrow >= least : narrow > least);
  }
};
constexpr Bounds softcapBounds = {0, true, "from 0 (none) to 3.4e38"},
                 ropeBounds = {1, false, "above 1 and up to 3.4e38"},
                 factorBounds = {0, false, "above 0 and up to 3.4e38"};

} // namespace

void applyOverrides(ModelConfig &config, const Overrides &overrides, const std::string &windowPattern) {
  const auto number = [](const char *flag, double value, const Bounds &bounds) {
    if (!bounds.hold(value))
      fail(Exit::Usage, std::string(flag) + " must be " + bounds.text);
    return value;
  };
  if (overrides.windowPattern && overrides.windowPattern->empty())
    fail(Exit::Usage, "--window-pattern is empty; it is made of S and L");
  if (overrides.softcap)
    config.softcap = static_cast<float>(number("--softcap", *overrides.softcap, softcapBounds));
  if (overrides.ropeBase)
    config.ropeBase = number("--rope-base", *overrides.ropeBase, ropeBounds);
  if (overrides.qkMult)
    config.qkMult = static_cast<float>(number("--qk-mult", *overrides.qkMult, factorBounds));
  if (overrides.gateScale) {
    if (config.gateChannels == 0)
      fail(Exit::Usage, std::string("--gate-scale has no meaning for generation ") + config.generation +
                            ", which has no value embeddings");
    config.gateRange = static_cast<float>(number("--gate-scale", *overrides.gateScale, factorBounds));
  }
  if (overrides.shortWindow) {
    if (*overrides.shortWindow < 1 || *overrides.shortWindow > config.sequenceLen)
      fail(Exit::Usage, "--short-window must be from 1 to the sequence length " + std::to_string(config.sequenceLen));
    if (windowPattern.find_first_of("Ss") == std::string::npos)
      fail(Exit::Usage, "--short-window has no meaning for a model without S layers; give --window-pattern too");
    config.windows =
        windowsOf(config.layers, config.sequenceLen, windowPattern, static_cast<uint32_t>(*overrides.shortWindow));
  }
}

char detectGeneration(const std::map<std::string, TensorInfo> &tensors) {
  for (const char *name : {"smear_lambda", "smear_gate.weight", "backout_lambda"})
    if (tensors.contains(name))
      return 'E';
  constexpr uint64_t wideGate = 32; // the first gates' channels
  for (const auto &[name, info] : tensors)
    if (name.ends_with(".ve_gate.weight"))
      return info.shape.size() == 2 && info.shape[1] == wideGate ? 'C' : 'D';
  for (const auto &[name, info] : tensors)
    if (name.starts_with("value_embeds."))
      return 'D'; // its gates are missing, which the check of the tensors reports
  return tensors.contains("resid_lambdas") || tensors.contains("x0_lambdas") ? 'B' : 'A';
}

ModelConfig configOf(const Checkpoint &checkpoint, const Overrides &overrides) {
  const Metadata &meta = checkpoint.metadata();
  for (const auto &[name, info] : checkpoint.tensors())
    if (name.starts_with("bigram_"))
      fail(Exit::Unsupported, quote(checkpoint.path().native()) + " is an engram model (tensor " + quote(name) +
                                  "), of nanochat's master of January 27-28, 2026; such models are not supported");
  ModelConfig config;
  config.name = "nanochat-d" + std::to_string(meta.layers);
  config.layers = static_cast<uint32_t>(meta.layers);
  config.width = static_cast<uint32_t>(meta.width);
  config.heads = static_cast<uint32_t>(meta.heads);
  config.kvHeads = static_cast<uint32_t>(meta.kvHeads);
  config.headDim = config.width / config.heads;
  config.vocab = static_cast<uint32_t>(meta.vocab);
  config.sequenceLen = static_cast<uint32_t>(meta.sequenceLen);
  // Upstream pads the vocabulary since December 23, 2025; older files have exactly V rows.
  const auto table = checkpoint.tensors().find("transformer.wte.weight");
  if (table != checkpoint.tensors().end() && !table->second.shape.empty() && table->second.shape[0] == meta.vocab)
    config.paddedVocab = config.vocab;

  const char generation = overrides.generation.value_or(detectGeneration(checkpoint.tensors()));
  std::string pattern = generation == 'A' ? "" : "L"; // before the pattern was a setting, windows were not either
  if (meta.windowPattern) {
    pattern = *meta.windowPattern;
    if (pattern.empty() || pattern.find_first_not_of("SLsl") != std::string::npos)
      fail(Exit::Input, quote(meta.source) + ": 'window_pattern' is " + quote(pattern) + ", not made of S and L");
  }
  pattern = overrides.windowPattern.value_or(pattern);
  applyGeneration(config, generation, pattern);
  const auto recorded = [&](std::optional<double> value, const char *what, const Bounds &bounds) {
    if (value && !bounds.hold(*value))
      fail(Exit::Input, quote(meta.source) + ": the " + what + " must be " + bounds.text);
    return value;
  };
  config.ropeBase = recorded(meta.ropeBase, "rope base", ropeBounds).value_or(config.ropeBase);
  config.softcap = static_cast<float>(recorded(meta.softcap, "softcap", softcapBounds).value_or(config.softcap));
  applyOverrides(config, overrides, pattern);
  return config;
}

void checkTensors(const Checkpoint &checkpoint, const ModelConfig &config, bool ignoreExtra) {
  const std::string file = quote(checkpoint.path().native());
  std::map<std::string, TensorInfo> extra = checkpoint.tensors();
  for (const ParameterDecl &parameter : parametersOf(config)) {
    const std::string tensor = file + ": tensor " + quote(parameter.name);
    const auto found = checkpoint.tensors().find(parameter.name);
    if (found == checkpoint.tensors().end())
      fail(Exit::Input, tensor + " of shape " + shapeText(parameter.shape) +
                            " is missing, which a model of generation " + config.generation +
                            " has (--generation says another)");
    if (found->second.shape != parameter.shape)
      fail(Exit::Input, tensor + " has shape " + shapeText(found->second.shape) + " where " +
                            quote(checkpoint.metadata().source) + " and generation " + config.generation + " make it " +
                            shapeText(parameter.shape));
    if (found->second.dtype != "F32" && found->second.dtype != "BF16")
      fail(Exit::Unsupported, tensor + " is " + found->second.dtype + "; only F32 and BF16 are supported, convert it");
    extra.erase(parameter.name);
  }
  if (!extra.empty() && !ignoreExtra)
    fail(Exit::Input, file + ": tensor " + quote(extra.begin()->first) + " of shape " +
                          shapeText(extra.begin()->second.shape) + " is not part of a model of generation " +
                          config.generation +
                          (extra.size() > 1 ? " (nor are " + std::to_string(extra.size() - 1) + " others)" : "") +
                          "; --ignore-extra leaves such tensors out");
}

} // namespace nanocc
