// A whole import: what is written, and that nothing is when something is wrong.
#include "compiler/import/Import.h"
#include "runtime/base/json.h"
#include "runtime/base/safetensors.h"
#include "tests/unit/checkpoint_files.h"

#include <cmath>
#include <cstring>
#include <sys/resource.h>

using namespace nanocc;
using namespace nanotest;
using nanort::Exit;
using nanort::Safetensors;

namespace {

struct ImportTest : testing::Test {
  TemporaryDirectory dir;
  std::filesystem::path in = dir / "in", out = dir / "out";

  void refused(Exit code, const std::string &part, ImportOptions options) {
    expectError(code, part, [&] { importModel(options); });
    EXPECT_TRUE(!std::filesystem::exists(out) || filesIn(out) == 0) << part;
  }
  void refused(Exit code, const std::string &part, const std::vector<TorchTensor> &tensors) {
    writeCheckpoint(in, tensors);
    refused(code, part, importOptions(in, out));
  }
};

float fromBf16(const std::byte *data) {
  uint32_t bits = 0;
  std::memcpy(reinterpret_cast<char *>(&bits) + 2, data, 2);
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

float floatAt(const std::string &data, size_t i) {
  float value;
  std::memcpy(&value, data.data() + 4 * i, 4);
  return value;
}

/// The same tensors under Hugging Face's names, in `files` safetensors files.
void writeHuggingFace(const std::filesystem::path &directory, const std::vector<TorchTensor> &tensors, size_t files) {
  static const std::vector<std::pair<std::string, std::string>> parts{{"transformer.wte", "model.embed_tokens"},
                                                                      {"transformer.h.", "model.layers."},
                                                                      {"attn.c_q", "self_attn.q_proj"},
                                                                      {"attn.c_k", "self_attn.k_proj"},
                                                                      {"attn.c_v", "self_attn.v_proj"},
                                                                      {"attn.c_proj", "self_attn.o_proj"},
                                                                      {"mlp.c_fc", "mlp.fc1"},
                                                                      {"mlp.c_proj", "mlp.fc2"}};
  std::filesystem::create_directories(directory);
  nlohmann::json map;
  for (size_t shard = 0; shard < files; ++shard) {
    const std::string file =
        files == 1 ? "model.safetensors" : "model-0000" + std::to_string(shard + 1) + "-of-00002.safetensors";
    std::vector<nanort::SafetensorsWriter::Declaration> declarations;
    std::string data;
    for (size_t i = shard; i < tensors.size(); i += files) {
      std::string name = tensors[i].name;
      for (const auto &[ours, theirs] : parts)
        if (const size_t at = name.find(ours); at != std::string::npos)
          name.replace(at, ours.size(), theirs);
      declarations.push_back({name, "F32", tensors[i].shape});
      data += tensors[i].data;
      map[name] = file;
    }
    nanort::SafetensorsWriter writer(directory / file, declarations);
    writer.write(std::as_bytes(std::span(data)));
    writer.commit();
  }
  if (files > 1)
    writeFile(directory / "model.safetensors.index.json", nlohmann::json{{"weight_map", map}}.dump());
  writeFile(directory / "config.json",
            R"({"model_type": "nanochat", "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
                "num_key_value_heads": 2, "vocab_size": 300, "max_position_embeddings": 128, "hidden_act": "relu2",
                "rope_parameters": {"rope_theta": 12345.0, "rope_type": "default"}, "final_logit_softcapping": 17.0})");
}

} // namespace

TEST_F(ImportTest, WritesRoundedMatricesAndExactVectors) {
  const std::vector<TorchTensor> tensors = tinyTensors('E');
  writeCheckpoint(in, tensors);
  const ModelConfig config = importModel(importOptions(in, out));
  EXPECT_FALSE(config.tokenizer);
  EXPECT_EQ(readFile(out / "model.mlir"), "E 128 128 128");
  EXPECT_EQ(filesIn(out), 2u);
  const Safetensors file = Safetensors::open(out / "model.safetensors");
  ASSERT_EQ(file.tensors().size(), tensors.size());
  for (const TorchTensor &tensor : tensors) {
    const nanort::Tensor &written = file.at(tensor.name);
    EXPECT_EQ(written.shape, tensor.shape);
    if (tensor.shape.size() == 1) {
      EXPECT_EQ(written.dtype, "F32");
      EXPECT_EQ(std::memcmp(written.data.data(), tensor.data.data(), tensor.data.size()), 0);
      continue;
    }
    ASSERT_EQ(written.dtype, "BF16");
    for (size_t i = 0; i < tensor.data.size() / 4; ++i) {
      // Nearest: half a unit in the last of bf16's 8 significant bits, so 2^-8 of the power of two below the value.
      const float exact = floatAt(tensor.data, i), rounded = fromBf16(written.data.data() + 2 * i);
      ASSERT_LE(std::fabs(exact - rounded), std::ldexp(1.0f, std::ilogb(exact)) * 0x1p-8f) << tensor.name << " " << i;
    }
  }
}

TEST_F(ImportTest, RoundsTiesToEvenAndKeepsSpecialValues) {
  std::vector<TorchTensor> tensors = tinyTensors('A');
  TorchTensor &matrix = tensors.front();
  const std::vector<std::pair<uint32_t, uint16_t>> known{
      {0x3f808000, 0x3f80}, {0x3f818000, 0x3f82}, {0x3f808001, 0x3f81}, {0x7f800000, 0x7f80}, {0xff800000, 0xff80},
      {0x7f7fffff, 0x7f80}, {0x7f800001, 0x7fc0}, {0x80000000, 0x8000}, {0x00008000, 0x0000}, {0x00018000, 0x0002}};
  for (size_t i = 0; i < known.size(); ++i)
    std::memcpy(matrix.data.data() + 4 * i, &known[i].first, 4);
  writeCheckpoint(in, tensors);
  importModel(importOptions(in, out));
  const Safetensors file = Safetensors::open(out / "model.safetensors");
  for (size_t i = 0; i < known.size(); ++i) {
    uint16_t bits;
    std::memcpy(&bits, file.at(matrix.name).data.data() + 2 * i, 2);
    EXPECT_EQ(bits, known[i].second) << std::hex << known[i].first;
  }
}

TEST_F(ImportTest, SameInputSameBytes) {
  std::vector<TorchTensor> tensors = tinyTensors('C');
  writeCheckpoint(in, tensors);
  importModel(importOptions(in, out));
  const std::string first = readFile(out / "model.safetensors");
  importModel(importOptions(in, out));
  EXPECT_EQ(readFile(out / "model.safetensors"), first);
  // Neither the order of the tensors nor torch.compile's prefix shows.
  std::reverse(tensors.begin(), tensors.end());
  for (TorchTensor &tensor : tensors)
    tensor.name = "_orig_mod." + tensor.name;
  writeCheckpoint(in, tensors);
  importModel(importOptions(in, out));
  EXPECT_EQ(readFile(out / "model.safetensors"), first);
}

TEST_F(ImportTest, KeepsDtypesOnRequest) {
  std::vector<TorchTensor> tensors = tinyTensors('E');
  TorchTensor &half = tensors[0];
  half.storage = "BFloat16Storage";
  half.data.resize(half.data.size() / 2);
  writeCheckpoint(in, tensors);
  ImportOptions options = importOptions(in, out);
  options.keepDtype = true;
  importModel(options);
  const Safetensors file = Safetensors::open(out / "model.safetensors");
  for (const TorchTensor &tensor : tensors) {
    EXPECT_EQ(file.at(tensor.name).dtype, &tensor == &half ? "BF16" : "F32");
    EXPECT_EQ(std::memcmp(file.at(tensor.name).data.data(), tensor.data.data(), tensor.data.size()), 0);
  }
}

TEST_F(ImportTest, TakesTheNewestStepOrTheOneAsked) {
  writeCheckpoint(in, tinyTensors('A'), "000999");
  writeCheckpoint(in, tinyTensors('E'), "001000");
  EXPECT_EQ(importModel(importOptions(in, out)).generation, 'E');
  ImportOptions options = importOptions(in, out);
  options.step = 999;
  EXPECT_EQ(importModel(options).generation, 'A');
  options.step = 5;
  expectError(Exit::Input, "step 5", [&] { importModel(options); });
  std::filesystem::remove(in / "meta_001000.json");
  expectError(Exit::Input, "meta_001000.json", [&] { importModel(importOptions(in, out)); });
}

TEST_F(ImportTest, NamesTheTensorThatIsWrong) {
  const std::vector<TorchTensor> good = tinyTensors('E');
  for (size_t i = 0; i < good.size(); ++i) {
    std::vector<TorchTensor> bad = good;
    bad.erase(bad.begin() + static_cast<std::ptrdiff_t>(i));
    refused(Exit::Input, "'" + good[i].name + "'", bad);
    bad = good;
    bad[i].shape.insert(bad[i].shape.begin(), 1);
    refused(Exit::Input, "'" + good[i].name + "' has shape", bad);
    bad = good;
    bad[i].storage = "HalfStorage";
    bad[i].data.resize(bad[i].data.size() / 2);
    refused(Exit::Unsupported, "'" + good[i].name + "' is F16", bad);
  }
  std::vector<TorchTensor> extra = good;
  extra.push_back({"more.weight", {2}, std::string(8, '\0')});
  refused(Exit::Input, "'more.weight' of shape [2]", extra);
  ImportOptions options = importOptions(in, out);
  options.ignoreExtra = true;
  importModel(options);
  EXPECT_EQ(Safetensors::open(out / "model.safetensors").tensors().size(), good.size());
}

TEST_F(ImportTest, RefusesEngramModels) {
  std::vector<TorchTensor> tensors = tinyTensors('C');
  tensors.push_back({"bigram_lambdas", {3}, std::string(12, '\0')});
  refused(Exit::Unsupported, "engram", tensors);
}

TEST_F(ImportTest, MetadataIsChecked) {
  writeCheckpoint(in, tinyTensors('E'));
  for (const char *key : {"n_layer", "n_embd", "n_head", "n_kv_head", "vocab_size", "sequence_len"}) {
    nlohmann::json meta = nlohmann::json::parse(tinyMeta());
    for (const nlohmann::json &value : {nlohmann::json(0), nlohmann::json(-3), nlohmann::json(1.5), nlohmann::json("6"),
                                        nlohmann::json(1e30), nlohmann::json(UINT64_MAX)}) {
      meta["model_config"][key] = value;
      writeFile(in / "meta_000100.json", meta.dump());
      refused(Exit::Input, key, importOptions(in, out));
    }
    meta["model_config"].erase(key);
    writeFile(in / "meta_000100.json", meta.dump());
    refused(Exit::Input, key, importOptions(in, out));
  }
  writeFile(in / "meta_000100.json", "{}");
  refused(Exit::Input, "model_config", importOptions(in, out));
}

TEST_F(ImportTest, ReadsHuggingFaceFiles) {
  const std::vector<TorchTensor> tensors = tinyTensors('A');
  writeCheckpoint(in, tensors);
  importModel(importOptions(in, out));
  const std::string expected = readFile(out / "model.safetensors");
  for (const size_t files : {1, 2}) {
    const std::filesystem::path hf = dir / ("hf" + std::to_string(files));
    writeHuggingFace(hf, tensors, files);
    const ModelConfig config = importModel(importOptions(hf, out));
    EXPECT_EQ(config.generation, 'A');
    EXPECT_EQ(config.ropeBase, 12345.0);
    EXPECT_EQ(config.softcap, 17.0f);
    EXPECT_EQ(readFile(out / "model.safetensors"), expected);
  }
}

TEST_F(ImportTest, NeverReplacesTheCheckpoint) {
  for (const size_t files : {1, 2}) {
    const std::filesystem::path hf = dir / ("hf" + std::to_string(files));
    writeHuggingFace(hf, tinyTensors('A'), files);
    const size_t before = filesIn(hf);
    refused(Exit::Usage, "name another directory", importOptions(hf, hf / ".." / hf.filename()));
    EXPECT_EQ(filesIn(hf), before);
  }
}

TEST_F(ImportTest, RefusesOtherHuggingFaceModels) {
  writeHuggingFace(in, tinyTensors('A'), 2);
  nlohmann::json config = nlohmann::json::parse(readFile(in / "config.json"));
  const auto changed = [&](const char *key, const nlohmann::json &value) {
    nlohmann::json copy = config;
    copy[key] = value;
    writeFile(in / "config.json", copy.dump());
  };
  changed("model_type", "llama");
  refused(Exit::Unsupported, "'llama'", importOptions(in, out));
  changed("hidden_act", "silu");
  refused(Exit::Unsupported, "'silu'", importOptions(in, out));
  changed("tie_word_embeddings", true);
  refused(Exit::Unsupported, "tie_word_embeddings", importOptions(in, out));
  changed("rope_scaling", {{"rope_type", "yarn"}});
  refused(Exit::Unsupported, "'yarn'", importOptions(in, out));
  writeFile(in / "config.json", config.dump());
  ImportOptions options = importOptions(in, out);
  options.step = 3;
  refused(Exit::Usage, "--step", options);
  nlohmann::json index = nlohmann::json::parse(readFile(in / "model.safetensors.index.json"));
  index["weight_map"]["lm_head.weight"] = "../elsewhere.safetensors";
  writeFile(in / "model.safetensors.index.json", index.dump());
  refused(Exit::Input, "elsewhere", importOptions(in, out));
}

TEST_F(ImportTest, RefusesDirectoriesWithoutACheckpoint) {
  refused(Exit::Input, "cannot read the checkpoint directory", importOptions(dir / "none", out));
  std::filesystem::create_directories(in);
  refused(Exit::Input, "neither", importOptions(in, out));
}

TEST_F(ImportTest, LeavesNothingOnAFullDisk) {
  writeCheckpoint(in, tinyTensors('E'));
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{10'000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  refused(Exit::Input, "File too large", importOptions(in, out));
  setrlimit(RLIMIT_FSIZE, &before);
  writeFile(dir / "file", "");
  refused(Exit::Input, "output directory", importOptions(in, dir / "file"));
  refused(Exit::Input, "/proc/out", importOptions(in, "/proc/out"));
}

TEST_F(ImportTest, PresetsWriteTheModelAlone) {
  ImportOptions options = importOptions("", out);
  options.preset = 4;
  const ModelConfig config = importModel(options);
  EXPECT_EQ(config.width, 256u);
  EXPECT_EQ(readFile(out / "model.mlir"), "E 512 512 512 2048");
  EXPECT_EQ(filesIn(out), 1u);
}

TEST_F(ImportTest, PresetsTakeOverrides) {
  ImportOptions options = importOptions("", out);
  options.preset = 4;
  options.overrides = {.generation = 'C', .softcap = 20, .ropeBase = 5000, .windowPattern = "SL", .shortWindow = 7};
  const ModelConfig config = importModel(options);
  EXPECT_EQ(config.softcap, 20.0f);
  EXPECT_EQ(config.ropeBase, 5000.0);
  EXPECT_EQ(readFile(out / "model.mlir"), "C 7 2048 7 2048");
  options.overrides = {.generation = 'B', .gateScale = 2};
  expectError(Exit::Usage, "--gate-scale", [&] { importModel(options); });
}
