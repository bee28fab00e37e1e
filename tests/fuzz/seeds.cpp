// fuzz_seeds FOLDER: a sound input or two for each target, made of what the unit tests use, in FOLDER/TARGET/.
#include "compiler/import/TokenizerConversion.h"
#include "runtime/base/safetensors.h"
#include "runtime/plan/machine_code.h"
#include "tests/unit/checkpoint_files.h"
#include "tests/unit/tiny_plan.h"

#include <cstdio>

namespace fs = std::filesystem;

static fs::path seed(const fs::path &corpus, const char *target, const std::string &name) {
  fs::create_directories(corpus / target);
  return corpus / target / name;
}

static void plans(const fs::path &corpus) {
  using namespace nanort::test;
  writeFile(seed(corpus, "plan", "plain"), serialize(tinyPlan({{4}, {1}, 4, "cpu"})));
  writeFile(seed(corpus, "plan", "generate"), serialize(tinyPlan({{4}, {1}, 4, "cpu", true})));
  Json coded = tinyPlan({{4, 8}, {1, 2}, 0, "sm_90a"});
  writeFile(seed(corpus, "plan", "sm_90a"), serialize(coded));
  coded["programs"][0]["code"] = nanort::packCode(std::string_view("machine code"));
  coded["programs"][0]["kernels"][0]["code"] = {{"offset", 8}, {"size", 4}};
  writeFile(seed(corpus, "plan", "machine_code"), serialize(coded));
}

static void checkpoints(const fs::path &corpus) {
  using namespace nanotest;
  const std::string matrix(8 * 4 * sizeof(float), 'x'), vector(8 * sizeof(float), 'y');
  const std::vector<TorchTensor> tensors = {{"lm_head.weight", {8, 4}, matrix}, {"resid_lambdas", {8}, vector}};
  writeFile(seed(corpus, "pickle", "tensors"), torchPickle(tensors));
  const std::string encoding = tokenizerPickle({"th", "the"}, 300);
  writeFile(seed(corpus, "pickle", "tokenizer"), encoding);
  writeTorch(seed(corpus, "torch", "stored"), tensors);
  writeTorch(seed(corpus, "torch", "compressed"), tensors, std::nullopt, true);
  writeFile(seed(corpus, "tokenizer", "converted"),
            nanocc::tokenizerJson(std::as_bytes(std::span(encoding)), "seed", 300));

  nanort::SafetensorsWriter file(seed(corpus, "safetensors", "two"), {{"a", "F32", {8, 4}}, {"b", "BF16", {3}}},
                                 {{"format", "pt"}});
  file.write(std::as_bytes(std::span(matrix)));
  file.write(std::as_bytes(std::span("sixbyte", 6)));
  file.commit();

  writeFile(seed(corpus, "config", "upstream"), tinyMeta());
  writeFile(seed(corpus, "config", "huggingface"), R"({"model_type": "nanochat", "hidden_size": 64,
    "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 300,
    "max_position_embeddings": 128, "hidden_act": "relu2", "final_logit_softcapping": 17.0,
    "rope_parameters": {"rope_theta": 12345.0, "rope_type": "default"}})");
}

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fuzz_seeds FOLDER\n");
    return 2;
  }
  plans(argv[1]);
  checkpoints(argv[1]);
  return 0;
}
