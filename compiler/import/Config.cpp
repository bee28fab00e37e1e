// The rules of nanochat's five generations: their constants, the layers they apply to, the tensors that follow.
#include "compiler/import/ModelConfig.h"
#include "runtime/base/error.h"
#include "runtime/base/text.h"

#include <algorithm>
#include <cctype>

namespace nanocc {

using nanort::Exit;
using nanort::fail;
using nanort::quote;

namespace {

constexpr uint32_t smearChannels = 24;
constexpr uint32_t vocabMultiple = 64;

/// What a generation fixes (reference: upstream's history, commits 3a5e0bc, 201d705, a91743c, 6ed7d1d, a825e63).
struct Generation {
  char letter;
  double ropeBase;
  bool ropeTableBf16;
  float qkMult;
  bool lambdas;
  uint32_t gateChannels;
  float gateRange;
  bool smearAndBackout;
};
constexpr Generation generationNames[] = {
    {'A', 10'000, true, 1.0f, false, 0, 0.0f, false},    //
    {'B', 10'000, true, 1.0f, true, 0, 0.0f, false},     //
    {'C', 10'000, true, 1.0f, true, 32, 2.0f, false},    //
    {'D', 100'000, false, 1.15f, true, 12, 3.0f, false}, //
    {'E', 100'000, false, 1.2f, true, 12, 3.0f, true},   //
};

uint32_t roundUp(uint32_t value, uint32_t multiple) { return (value + multiple - 1) / multiple * multiple; }

void checkDimensions(const ModelConfig &config) {
  const auto require = [&](bool holds, const std::string &what) {
    if (!holds)
      fail(Exit::Input, "the model's dimensions do not fit together: " + what);
  };
  constexpr uint32_t maxLayers = 1024;
  const std::string width = "width " + std::to_string(config.width);
  require(config.layers >= 1 && config.layers <= maxLayers,
          std::to_string(config.layers) + " layers, where 1 to " + std::to_string(maxLayers) + " are possible");
  require(config.heads >= 1 && config.kvHeads >= 1 && config.vocab >= 1 && config.sequenceLen >= 1,
          "one of them is zero");
  require(config.width == uint64_t{config.heads} * config.headDim,
          width + " is not " + std::to_string(config.heads) + " heads times a whole head width");
  require(config.headDim % 2 == 0,
          "head width " + std::to_string(config.headDim) + " is odd, rotary halves need it even");
  require(config.heads % config.kvHeads == 0, std::to_string(config.heads) + " heads cannot share " +
                                                  std::to_string(config.kvHeads) + " key-value heads evenly");
  const uint32_t channels = std::max(config.gateChannels, config.smear ? smearChannels : 0);
  require(config.width >= channels, width + " is less than the " + std::to_string(channels) + " channels a gate reads");
}

} // namespace

uint32_t shortWindowOf(char generation, uint32_t sequenceLen) {
  constexpr uint32_t tile = 128;
  switch (generation) {
  case 'D':
    return roundUp((sequenceLen + 2) / 3, tile);
  case 'E':
    return roundUp((sequenceLen + 3) / 4, tile);
  default:
    return std::max(1u, sequenceLen / 2);
  }
}

std::vector<uint32_t> windowsOf(uint32_t layers, uint32_t sequenceLen, const std::string &pattern,
                                uint32_t shortWindow) {
  std::vector<uint32_t> windows(layers, sequenceLen);
  if (pattern.empty() || pattern.find_first_not_of("SLsl") != std::string::npos)
    fail(Exit::Usage, "the window pattern " + quote(pattern) + " is not made of the letters S and L");
  for (uint32_t i = 0; i + 1 < layers; ++i)
    if (std::toupper(pattern[i % pattern.size()]) == 'S')
      windows[i] = shortWindow;
  return windows;
}

void applyGeneration(ModelConfig &config, char generation, const std::string &windowPattern) {
  const auto *rules = std::find_if(std::begin(generationNames), std::end(generationNames),
                                   [&](const Generation &known) { return known.letter == generation; });
  if (rules == std::end(generationNames))
    fail(Exit::Usage, "generation " + quote({&generation, 1}) + " is none of A, B, C, D, E");
  config.generation = generation;
  config.ropeBase = rules->ropeBase;
  config.ropeTableBf16 = rules->ropeTableBf16;
  config.qkMult = rules->qkMult;
  config.lambdas = rules->lambdas;
  config.gateChannels = rules->gateChannels;
  config.gateRange = rules->gateRange;
  config.smear = config.backout = rules->smearAndBackout;
  config.softcap = 15;
  checkDimensions(config);
  if (config.paddedVocab == 0)
    config.paddedVocab = roundUp(config.vocab, vocabMultiple);
  // Value embeddings: every other layer, counted so that the last layer has them.
  config.valueEmbeds.assign(config.layers, false);
  for (uint32_t i = 0; i < config.layers && config.gateChannels > 0; ++i)
    config.valueEmbeds[i] = i % 2 == (config.layers - 1) % 2;
  if (generation == 'A' && windowPattern.empty())
    config.windows.assign(config.layers, 0);
  else
    config.windows = windowsOf(config.layers, config.sequenceLen, windowPattern.empty() ? "SSSL" : windowPattern,
                               shortWindowOf(generation, config.sequenceLen));
}

ModelConfig presetConfig(uint32_t depth, char generation) {
  static constexpr uint32_t depths[] = {4, 12, 20, 24, 26, 32, 34};
  if (std::find(std::begin(depths), std::end(depths), depth) == std::end(depths))
    fail(Exit::Usage,
         "there is no preset d" + std::to_string(depth) + "; the presets are d4, d12, d20, d24, d26, d32, d34");
  constexpr uint32_t headDim = 128;
  ModelConfig config;
  config.name = "nanochat-d" + std::to_string(depth);
  config.layers = depth;
  config.width = roundUp(64 * depth, headDim);
  config.heads = config.kvHeads = config.width / headDim;
  config.headDim = headDim;
  config.vocab = generation == 'A' ? 65536 : 32768;
  config.sequenceLen = 2048;
  config.tokenizer.reset();
  applyGeneration(config, generation);
  return config;
}

std::vector<ParameterDecl> parametersOf(const ModelConfig &config) {
  const uint64_t width = config.width, kvWidth = uint64_t{config.kvHeads} * config.headDim;
  std::vector<ParameterDecl> list{{"transformer.wte.weight", {config.paddedVocab, width}},
                                  {"lm_head.weight", {config.paddedVocab, width}}};
  for (uint32_t i = 0; i < config.layers; ++i) {
    const std::string layer = "transformer.h." + std::to_string(i) + ".";
    list.push_back({layer + "attn.c_q.weight", {width, width}});
    list.push_back({layer + "attn.c_k.weight", {kvWidth, width}});
    list.push_back({layer + "attn.c_v.weight", {kvWidth, width}});
    list.push_back({layer + "attn.c_proj.weight", {width, width}});
    list.push_back({layer + "mlp.c_fc.weight", {4 * width, width}});
    list.push_back({layer + "mlp.c_proj.weight", {width, 4 * width}});
    if (config.gateChannels > 0 && config.valueEmbeds[i]) {
      list.push_back({layer + "attn.ve_gate.weight", {config.kvHeads, config.gateChannels}});
      list.push_back({"value_embeds." + std::to_string(i) + ".weight", {config.paddedVocab, kvWidth}});
    }
  }
  if (config.lambdas) {
    list.push_back({"resid_lambdas", {config.layers}});
    list.push_back({"x0_lambdas", {config.layers}});
  }
  if (config.smear) {
    list.push_back({"smear_gate.weight", {1, smearChannels}});
    list.push_back({"smear_lambda", {1}});
  }
  if (config.backout)
    list.push_back({"backout_lambda", {1}});
  std::sort(list.begin(), list.end(), [](const auto &a, const auto &b) { return a.name < b.name; });
  return list;
}

} // namespace nanocc
