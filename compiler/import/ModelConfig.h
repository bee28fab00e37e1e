// What an importer finds out about a checkpoint, generation by generation as independent facts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nanocc {

/// Facts of one nanochat model. The five generations A-E are presets of these fields, never a switch elsewhere.
struct ModelConfig {
  std::string name;
  char generation = 'E';
  uint32_t layers = 0, width = 0, heads = 0, kvHeads = 0, headDim = 0;
  uint32_t vocab = 0;       // V
  uint32_t paddedVocab = 0; // rows of wte and lm_head
  uint32_t sequenceLen = 0;
  double ropeBase = 0;
  bool ropeTableBf16 = false;    // A-C: rounded to bf16 whatever the compute dtype
  float qkMult = 1;              // 1: no multiply
  std::vector<uint32_t> windows; // per layer: previous positions seen besides its own; 0: all of them (generation A)
  bool lambdas = false;          // resid_lambdas, x0_lambdas
  uint32_t gateChannels = 0;     // value-embedding gate; 0: no value embeddings
  float gateRange = 0;
  std::vector<bool> valueEmbeds; // per layer
  bool smear = false;            // smear_gate [1, 24], smear_lambda
  bool backout = false;          // backout_lambda
  float softcap = 0;
  bool keepDtype = false; // matrices stay as stored instead of bf16
  std::string weights = "model.safetensors";
  std::optional<std::string> tokenizer = "tokenizer.json";
};

/// A preset as upstream makes it at that depth: d4, d12, d20, d24, d26, d32, d34.
ModelConfig presetConfig(uint32_t depth, char generation);

/// How many previous positions an S layer of a generation sees (B-E; an L layer: sequenceLen).
uint32_t shortWindowOf(char generation, uint32_t sequenceLen);

/// Windows by layer: the pattern of S and L repeats, the last layer is always L. Errors: Exit::Usage for another
/// pattern.
std::vector<uint32_t> windowsOf(uint32_t layers, uint32_t sequenceLen, const std::string &pattern,
                                uint32_t shortWindow);

/// Fills windows, valueEmbeds and the constants that `generation` fixes; layers, width, heads ... must be set.
/// `windowPattern` of S and L, "" for the generation's default. A paddedVocab of 0 becomes vocab rounded up to 64.
/// Errors: Exit::Input if the dimensions do not fit together or are too small for the generation's gates.
void applyGeneration(ModelConfig &config, char generation, const std::string &windowPattern = "");

/// Name and shape of every tensor that a model of this config has, sorted by name (upstream's names).
struct ParameterDecl {
  std::string name;
  std::vector<uint64_t> shape;
};
std::vector<ParameterDecl> parametersOf(const ModelConfig &config);

/// The model as a module of the `nano` dialect, textual form.
std::string emitModel(const ModelConfig &config);

} // namespace nanocc
