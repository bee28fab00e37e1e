// Checkpoints in the form of Hugging Face's port (model_type nanochat), which covers generation A.
#include "compiler/import/Checkpoint.h"
#include "compiler/import/CheckpointJson.h"
#include "runtime/base/error.h"
#include "runtime/base/safetensors.h"
#include "runtime/base/text.h"

#include <algorithm>
#include <array>

namespace nanocc {

using nanort::Exit;
using nanort::fail;
using nanort::quote;
using nanort::Safetensors;

namespace {

/// Upstream's name of a tensor; a name that the port does not use stays as it is and is reported as unknown.
std::string upstreamName(const std::string &name) {
  if (name == "model.embed_tokens.weight")
    return "transformer.wte.weight";
  constexpr std::string_view prefix = "model.layers.";
  if (!name.starts_with(prefix))
    return name;
  const size_t dot = name.find('.', prefix.size());
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 6> parts{
      {{".self_attn.q_proj.weight", ".attn.c_q.weight"},
       {".self_attn.k_proj.weight", ".attn.c_k.weight"},
       {".self_attn.v_proj.weight", ".attn.c_v.weight"},
       {".self_attn.o_proj.weight", ".attn.c_proj.weight"},
       {".mlp.fc1.weight", ".mlp.c_fc.weight"},
       {".mlp.fc2.weight", ".mlp.c_proj.weight"}}};
  for (const auto &[theirs, ours] : parts)
    if (dot != std::string::npos && name.substr(dot) == theirs)
      return "transformer.h." + name.substr(prefix.size(), dot - prefix.size()) + std::string(ours);
  return name;
}

class HuggingFaceCheckpoint final : public Checkpoint {
public:
  explicit HuggingFaceCheckpoint(const std::filesystem::path &directory) : directory(directory) {
    readConfig(nanort::readJson(directory / "config.json"));
    file = directory / "model.safetensors";
    const std::filesystem::path index = directory / "model.safetensors.index.json";
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored) && std::filesystem::exists(index, ignored)) {
      file = index;
      readShards(nanort::readJson(index));
    } else {
      addFile(Safetensors::open(file));
    }
  }

  void read(const std::string &name, const std::function<void(std::span<const std::byte>)> &sink) const override {
    std::span<const std::byte> data = contents.at(name)->data;
    while (!data.empty()) {
      const size_t size = std::min(data.size(), pieceBytes);
      sink(data.first(size));
      data = data.subspan(size);
    }
  }

private:
  [[noreturn]] void unsupported(const std::string &what) const {
    fail(Exit::Unsupported, quote(meta.source) + ": " + what + " is not supported; nanochat models have none such");
  }

  void readConfig(const nlohmann::json &config) {
    meta.source = directory / "config.json";
    const std::optional<std::string> type = textOf(config, "model_type", meta.source);
    if (type != "nanochat")
      unsupported("model_type " + (type ? quote(*type) : "(missing)") + ", other than 'nanochat',");
    if (const auto activation = textOf(config, "hidden_act", meta.source); activation && *activation != "relu2")
      unsupported("hidden_act " + quote(*activation));
    for (const char *flag : {"attention_bias", "qkv_bias", "tie_word_embeddings"})
      if (has(config, flag) && config[flag] != false)
        unsupported(std::string(flag) + " " + quote(config[flag].dump()));
    meta.layers = dimensionOf(config, "num_hidden_layers", meta.source);
    meta.width = dimensionOf(config, "hidden_size", meta.source);
    meta.heads = dimensionOf(config, "num_attention_heads", meta.source);
    meta.kvHeads =
        has(config, "num_key_value_heads") ? dimensionOf(config, "num_key_value_heads", meta.source) : meta.heads;
    meta.vocab = dimensionOf(config, "vocab_size", meta.source);
    meta.sequenceLen = dimensionOf(config, "max_position_embeddings", meta.source);
    readRope(config);
    meta.softcap = numberOf(config, "final_logit_softcapping", meta.source);
    if (!meta.softcap)
      meta.softcap = numberOf(config, "logits_soft_cap", meta.source);
  }

  void readRope(const nlohmann::json &config) {
    meta.ropeBase = numberOf(config, "rope_theta", meta.source);
    for (const char *key : {"rope_parameters", "rope_scaling"}) {
      if (!has(config, key))
        continue;
      const nlohmann::json &rope = config[key];
      if (!rope.is_object())
        fail(Exit::Input, quote(meta.source) + ": " + quote(key) + " is not an object");
      for (const char *name : {"rope_type", "type"})
        if (const auto type = textOf(rope, name, meta.source); type && *type != "default")
          unsupported("rope type " + quote(*type));
      if (const auto base = numberOf(rope, "rope_theta", meta.source))
        meta.ropeBase = base;
    }
  }

  void readShards(const nlohmann::json &index) {
    if (!has(index, "weight_map") || !index["weight_map"].is_object())
      fail(Exit::Input, quote(file.native()) + " lacks the object 'weight_map'");
    std::map<std::string, std::vector<std::string>> shards; // file -> tensors it must have
    for (const auto &[tensor, shard] : index["weight_map"].items()) {
      const std::string name = shard.is_string() ? shard.get<std::string>() : "";
      if (name.empty() || name != std::filesystem::path(name).filename())
        fail(Exit::Input, quote(file.native()) + ": tensor " + quote(tensor) + " is said to be in " +
                              quote(shard.dump()) + ", which is no file beside the index");
      shards[name].push_back(tensor);
    }
    for (const auto &[name, tensors] : shards) {
      Safetensors shard = Safetensors::open(directory / name);
      for (const std::string &tensor : tensors)
        shard.at(tensor);
      addFile(std::move(shard));
    }
  }

  void addFile(Safetensors opened) {
    files.push_back(std::make_unique<Safetensors>(std::move(opened)));
    for (const auto &[theirs, tensor] : files.back()->tensors()) {
      const std::string name = upstreamName(theirs);
      if (!infos.try_emplace(name, TensorInfo{tensor.dtype, tensor.shape}).second)
        fail(Exit::Input, quote(files.back()->path().native()) + ": tensor " + quote(name) + " occurs twice");
      contents[name] = &tensor;
    }
  }

  const std::filesystem::path directory;
  std::vector<std::unique_ptr<Safetensors>> files;
  std::map<std::string, const nanort::Tensor *> contents;
};

} // namespace

std::unique_ptr<Checkpoint> openHuggingFaceCheckpoint(const std::filesystem::path &directory) {
  return std::make_unique<HuggingFaceCheckpoint>(directory);
}

} // namespace nanocc
