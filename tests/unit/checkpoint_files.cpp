#include "tests/unit/checkpoint_files.h"

#include <cstring>
#include <random>
#include <zip.h>

namespace nanotest {

static std::string littleEndian(uint64_t value, size_t bytes) {
  std::string out;
  for (size_t i = 0; i < bytes; ++i)
    out += static_cast<char>(value >> 8 * i & 0xff);
  return out;
}

std::string pickleText(const std::string &text) { return "X" + littleEndian(text.size(), 4) + text; }
std::string pickleInteger(int64_t value) { return "\x8a\x08" + littleEndian(static_cast<uint64_t>(value), 8); }

template <typename Number> static std::string pickleTuple(const std::vector<Number> &values) {
  std::string out = "(";
  for (const Number value : values)
    out += pickleInteger(static_cast<int64_t>(value));
  return out + "t";
}

std::string torchPickle(const std::vector<TorchTensor> &tensors) {
  std::string out = "\x80\x02}(";
  for (size_t i = 0; i < tensors.size(); ++i) {
    const TorchTensor &tensor = tensors[i];
    std::vector<int64_t> strides(tensor.shape.size(), 1);
    for (size_t axis = strides.size(); axis-- > 1;)
      strides[axis - 1] = strides[axis] * static_cast<int64_t>(tensor.shape[axis]);
    const size_t width = tensor.storage == "FloatStorage" ? 4 : 2;
    out += pickleText(tensor.name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + pickleText("storage") + "ctorch\n" +
           tensor.storage + "\n" + pickleText(std::to_string(i)) + pickleText("cpu") +
           pickleInteger(tensor.elements.value_or(static_cast<int64_t>(tensor.data.size() / width))) + "tQ" +
           pickleInteger(tensor.offset) + pickleTuple(tensor.shape) + pickleTuple(tensor.strides.value_or(strides)) +
           "\x89" + "ccollections\nOrderedDict\n)RtR";
  }
  return out + "u.";
}

void writeTorch(const std::filesystem::path &path, const std::vector<TorchTensor> &tensors,
                const std::optional<std::string> &pickle, bool compressed) {
  std::filesystem::remove(path);
  zip_t *archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  ASSERT_NE(archive, nullptr);
  std::vector<std::pair<std::string, std::string>> entries{{"data.pkl", pickle.value_or(torchPickle(tensors))},
                                                           {"byteorder", "little"}};
  for (size_t i = 0; i < tensors.size(); ++i)
    entries.emplace_back("data/" + std::to_string(i), tensors[i].data);
  for (const auto &[name, data] : entries) {
    zip_source_t *source = zip_source_buffer(archive, data.data(), data.size(), 0);
    const zip_int64_t index = zip_file_add(archive, ("m/" + name).c_str(), source, 0);
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(index),
                             compressed && name.starts_with("data/") ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0);
  }
  ASSERT_EQ(zip_close(archive), 0);
}

nanocc::ModelConfig tinyConfig(char generation) {
  nanocc::ModelConfig config;
  config.layers = 3;
  config.width = 64;
  config.heads = 4;
  config.kvHeads = 2;
  config.headDim = 16;
  config.vocab = 300;
  config.sequenceLen = 128;
  nanocc::applyGeneration(config, generation);
  return config;
}

std::string tinyMeta() {
  return R"({"model_config": {"n_layer": 3, "n_embd": 64, "n_head": 4, "n_kv_head": 2, "vocab_size": 300, "sequence_len": 128}})";
}

std::vector<TorchTensor> tinyTensors(char generation) {
  std::mt19937 random(11);
  std::normal_distribution<float> normal;
  std::vector<TorchTensor> tensors;
  for (const nanocc::ParameterDecl &parameter : nanocc::parametersOf(tinyConfig(generation))) {
    uint64_t count = 1;
    for (const uint64_t extent : parameter.shape)
      count *= extent;
    std::string data;
    for (uint64_t i = 0; i < count; ++i) {
      const float value = normal(random);
      data.append(reinterpret_cast<const char *>(&value), sizeof(value));
    }
    tensors.push_back({parameter.name, parameter.shape, data});
  }
  return tensors;
}

void writeCheckpoint(const std::filesystem::path &directory, const std::vector<TorchTensor> &tensors,
                     const std::string &step) {
  std::filesystem::create_directories(directory);
  writeTorch(directory / ("model_" + step + ".pt"), tensors);
  writeFile(directory / ("meta_" + step + ".json"), tinyMeta());
}

nanocc::ImportOptions importOptions(const std::filesystem::path &checkpoint, const std::filesystem::path &output) {
  nanocc::ImportOptions options;
  options.checkpoint = checkpoint;
  options.output = output;
  options.emit = [](const nanocc::ModelConfig &config) {
    std::string text(1, config.generation);
    for (const uint32_t window : config.windows)
      text += " " + std::to_string(window);
    return text;
  };
  return options;
}

std::string tokenizerPickle(const std::vector<std::string> &tokens, size_t vocab) {
  std::string out = "\x80\x04\x8c\x0dtiktoken.core\x8c\x08"
                    "Encoding\x93)\x81}(" +
                    pickleText("name") + pickleText("rustbpe") + pickleText("pat_str") + pickleText("\\s+|\\S+") +
                    pickleText("mergeable_ranks") + "}(";
  size_t id = 0;
  for (; id < 256; ++id)
    out += "B" + littleEndian(1, 4) + static_cast<char>(id) + pickleInteger(static_cast<int64_t>(id));
  for (const std::string &token : tokens)
    out += "B" + littleEndian(token.size(), 4) + token + pickleInteger(static_cast<int64_t>(id++));
  out += "u" + pickleText("special_tokens") + "}(";
  for (int i = 0; id < vocab; ++i, ++id)
    out += pickleText(i == 0 ? "<|bos|>" : "<|s" + std::to_string(i) + "|>") + pickleInteger(static_cast<int64_t>(id));
  return out + "uub.";
}

} // namespace nanotest
