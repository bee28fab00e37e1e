// Every bad input ends in one clear line and the right exit code, at the tool as a user runs it.
#include "tests/e2e/support.h"
#include "tests/unit/checkpoint_files.h"

#include "gtest/gtest.h"

#include <cstring>
#include <functional>

namespace fs = std::filesystem;
using nanotest::TorchTensor;

namespace {

/// One line (after warnings), the code, and the things it must name.
void expectRefusal(const e2e::Result &result, int code, const std::vector<std::string> &names) {
  EXPECT_EQ(result.code, code) << result.err;
  ASSERT_FALSE(result.err.empty());
  std::string text = result.err.substr(0, result.err.size() - 1);
  std::string last = text.substr(text.rfind('\n') + 1);
  for (const std::string &name : names)
    EXPECT_NE(last.find(name), std::string::npos) << "'" << name << "' in: " << last;
}

TorchTensor &find(std::vector<TorchTensor> &tensors, const std::string &name) {
  for (TorchTensor &tensor : tensors)
    if (tensor.name == name)
      return tensor;
  throw std::runtime_error(name);
}

class BadCheckpoint : public testing::Test {
protected:
  /// Imports a changed checkpoint; nothing may be written.
  e2e::Result import(const std::function<void(std::vector<TorchTensor> &)> &change) {
    std::vector<TorchTensor> tensors = nanotest::tinyTensors('E');
    change(tensors);
    nanotest::writeCheckpoint(scratch / "in", tensors);
    return import();
  }
  e2e::Result import() {
    e2e::Result result = e2e::run("nanocc-import", {(scratch / "in").string(), "-o", (scratch / "out").string()});
    EXPECT_FALSE(fs::exists(scratch / "out/model.mlir"));
    EXPECT_FALSE(fs::exists(scratch / "out/model.safetensors"));
    return result;
  }
  fs::path file() { return scratch / "in/model_000100.pt"; }

  e2e::Scratch scratch;
};

TEST_F(BadCheckpoint, Truncated) {
  nanotest::writeCheckpoint(scratch / "in", nanotest::tinyTensors('E'));
  fs::resize_file(file(), fs::file_size(file()) / 2);
  expectRefusal(import(), 3, {"model_000100.pt"});
}

TEST_F(BadCheckpoint, PickleThatCallsSystem) {
  nanotest::writeCheckpoint(scratch / "in", nanotest::tinyTensors('E'));
  std::string marker = (scratch / "owned").string();
  std::string pickle = "\x80\x02"
                       "cos\nsystem\n" +
                       nanotest::pickleText("touch " + marker) + "\x85R.";
  nanotest::writeTorch(file(), {}, pickle);
  expectRefusal(import(), 3, {"model_000100.pt", "os.system"});
  EXPECT_FALSE(fs::exists(marker));
}

TEST_F(BadCheckpoint, SizesBeyondTheFile) {
  expectRefusal(import([](auto &tensors) {
                  TorchTensor &wte = find(tensors, "transformer.wte.weight");
                  wte.elements = int64_t(1) << 40;
                  wte.shape = {1 << 20, 1 << 20};
                }),
                3, {"transformer.wte.weight"});
}

TEST_F(BadCheckpoint, MissingTensor) {
  expectRefusal(import([](auto &tensors) {
                  std::erase_if(tensors, [](auto &tensor) { return tensor.name == "transformer.h.1.mlp.c_fc.weight"; });
                }),
                3, {"transformer.h.1.mlp.c_fc.weight"});
}

TEST_F(BadCheckpoint, MisshapenTensor) {
  expectRefusal(import([](auto &tensors) {
                  std::swap(find(tensors, "transformer.h.0.mlp.c_fc.weight").shape[0],
                            find(tensors, "transformer.h.0.mlp.c_fc.weight").shape[1]);
                }),
                3, {"transformer.h.0.mlp.c_fc.weight", "64", "256"});
}

TEST_F(BadCheckpoint, ExtraTensor) {
  auto extra = [](auto &tensors) { tensors.push_back({"transformer.h.0.lora", {1}, std::string(4, '\0')}); };
  expectRefusal(import(extra), 3, {"transformer.h.0.lora", "--ignore-extra"});
  e2e::Result ignored =
      e2e::run("nanocc-import", {(scratch / "in").string(), "-o", (scratch / "out").string(), "--ignore-extra"});
  EXPECT_EQ(ignored.code, 0) << ignored.err;
}

TEST_F(BadCheckpoint, HalfPrecision) {
  expectRefusal(import([](auto &tensors) {
                  TorchTensor &head = find(tensors, "lm_head.weight");
                  head.storage = "HalfStorage";
                  head.data.resize(head.data.size() / 2);
                }),
                4, {"lm_head.weight", "F16"});
}

TEST_F(BadCheckpoint, Engram) {
  expectRefusal(import([](auto &tensors) {
                  tensors.push_back({"bigram_lambdas", {3}, std::string(12, '\0')});
                }),
                4, {"bigram_lambdas"});
}

TEST_F(BadCheckpoint, OutputDirectoryNotWritable) {
  nanotest::writeCheckpoint(scratch / "in", nanotest::tinyTensors('E'));
  e2e::writeFile(scratch / "file", "");
  expectRefusal(e2e::run("nanocc-import", {(scratch / "in").string(), "-o", (scratch / "file/out").string()}), 3,
                {"file/out"});
}

class BadPlan : public testing::Test {
protected:
  BadPlan() : good(e2e::plan(e2e::golden("gen-c"), {"--target", "cpu"})), bytes(e2e::readFile(good)) {}

  e2e::Result open(const std::string &changed) {
    e2e::writeFile(scratch / "plan.fb", changed);
    return e2e::run("nanort", {"inspect", (scratch / "plan.fb").string()});
  }

  fs::path good;
  std::string bytes;
  e2e::Scratch scratch;
};

TEST_F(BadPlan, Truncated) {
  for (size_t size : {size_t(0), size_t(7), size_t(100), bytes.size() / 2, bytes.size() - 1})
    expectRefusal(open(bytes.substr(0, size)), 3, {"plan.fb"});
}

TEST_F(BadPlan, FlippedBit) {
  std::string changed = bytes;
  changed[bytes.size() / 2] ^= 4;
  expectRefusal(open(changed), 3, {"plan.fb", "compile"});
}

TEST_F(BadPlan, TwoGibibytes) {
  e2e::writeFile(scratch / "plan.fb", bytes);
  fs::resize_file(scratch / "plan.fb", uintmax_t(2) << 30); // sparse
  expectRefusal(e2e::run("nanort", {"inspect", (scratch / "plan.fb").string()}), 3, {"plan.fb", "2 GiB"});
}

TEST_F(BadPlan, IsNotAPlan) { expectRefusal(open("module {}"), 3, {"plan.fb"}); }

TEST_F(BadPlan, WeightsOfAnotherModel) {
  auto weights = e2e::imported(e2e::golden("gen-d")) / "model.safetensors";
  expectRefusal(
      e2e::run("nanort", {"run", good.string(), "--device", "cpu", "--ids", "1", "--weights", weights.string()}), 3,
      {weights.string()});
  expectRefusal(e2e::run("nanort", {"run", good.string(), "--device", "cpu", "--ids", "1", "--weights", "/nowhere"}), 3,
                {"/nowhere"});
}

TEST_F(BadPlan, OverlappingWeights) {
  auto weights = e2e::readFile(e2e::imported(e2e::golden("gen-c")) / "model.safetensors");
  // The second tensor's range moved onto the first: same length of header, same length of range.
  size_t at = weights.find("\"data_offsets\":[") + strlen("\"data_offsets\":[");
  std::string first = weights.substr(at, weights.find(']', at) - at);
  size_t next = weights.find("\"data_offsets\":[", at) + strlen("\"data_offsets\":[");
  size_t end = weights.find(']', next);
  std::string second = "0,1";
  second.resize(end - next, ' ');
  weights.replace(next, end - next, second);
  e2e::writeFile(scratch / "overlap.safetensors", weights);
  expectRefusal(e2e::run("nanort", {"run", good.string(), "--device", "cpu", "--ids", "1", "--weights",
                                    (scratch / "overlap.safetensors").string()}),
                3, {"overlap.safetensors"});
  std::string cut = e2e::readFile(e2e::imported(e2e::golden("gen-c")) / "model.safetensors");
  e2e::writeFile(scratch / "cut.safetensors", cut.substr(0, cut.size() - 100));
  expectRefusal(e2e::run("nanort", {"run", good.string(), "--device", "cpu", "--ids", "1", "--weights",
                                    (scratch / "cut.safetensors").string()}),
                3, {"cut.safetensors"});
}

TEST_F(BadPlan, IdsOutsideTheVocabulary) {
  for (const char *ids : {"1,512", "1,-2", "99999999999"})
    for (const char *count : {"0", "1"})
      expectRefusal(
          e2e::run("nanort", {"run", good.string(), "--device", "cpu", "-n", count, std::string("--ids=") + ids}), 3,
          {ids == std::string("1,512") ? good.string() + ": token id 512 at index 1" : "--ids: "});
  expectRefusal(e2e::run("nanort", {"run", good.string(), "--device", "cpu", "--ids", "1", "--stop-ids", "512"}), 3,
                {good.string() + ": stop id 512 at index 0"});
  expectRefusal(e2e::run("nanort", {"run", good.string(), "--device", "cpu", "--ids", "1,x"}), 2, {"x"});
}

// The context is the plan's: its file is the one to compile again.
TEST_F(BadPlan, TextsLongerThanTheContext) {
  const std::string brief = e2e::plan(e2e::golden("gen-c"), {"--target", "cpu", "--max-seq", "4"}).string();
  expectRefusal(e2e::run("nanort", {"run", brief, "--device", "cpu", "--ids", "1,2,3,4"}), 3,
                {brief + ": the prompt has 4 tokens, the plan's context holds 4", "--max-seq"});
  const std::string ids = (e2e::golden("gen-c") / "reference.safetensors").string() + ":prompt_ids";
  expectRefusal(e2e::run("nanort", {"eval", brief, "--device", "cpu", "--ids", ids}), 3,
                {ids, "the context of " + brief + " holds 4", "--max-seq"});
}

TEST_F(BadPlan, NoTokenizer) {
  expectRefusal(e2e::run("nanort", {"run", good.string(), "--device", "cpu", "--prompt", "Hi"}), 3, {"--ids"});
}

TEST_F(BadPlan, CudaThatIsNotThere) {
  setenv("NANORT_CUDA_DRIVER", "/nonexistent/libcuda.so.1", 1);
  expectRefusal(e2e::run("nanort", {"run", good.string(), "--device", "cuda", "--ids", "1"}), 5, {"libcuda"});
  unsetenv("NANORT_CUDA_DRIVER");
}

TEST_F(BadPlan, MemoryThatDoesNotSuffice) {
  expectRefusal(e2e::run("nanort", {"check", good.string(), "--memory", "1000"}), 6, {"1000"});
  // Of a plan for many rows, few may fit: the remedy says so.
  const std::string wide =
      e2e::plan(e2e::golden("classic-mha"), {"--target", "cpu,sm_90a", "--batch", "1,512"}).string();
  setenv("NANORT_CUDA_DRIVER", "/nonexistent/libcuda.so.1", 1); // nobody is asked
  const e2e::Result fits = e2e::run("nanort", {"check", wide, "--batch", "1", "--ctx", "16", "--memory", "64GiB"});
  EXPECT_EQ(fits.code, 0) << fits.err;
  EXPECT_NE(fits.out.find("for context, code and graphs"), std::string::npos) << fits.out;
  const size_t use = fits.out.find("request: 1 rows of 16 positions use ");
  ASSERT_NE(use, std::string::npos) << fits.out;
  const std::string used = std::to_string(std::stoull(fits.out.substr(use + 36)));
  expectRefusal(
      e2e::run("nanort", {"check", wide, "--program", "cpu", "--batch", "1", "--ctx", "16", "--memory", used}), 6,
      {"1 rows of 16 positions use " + used, "compile with --batch 1 --max-seq 16"});
  unsetenv("NANORT_CUDA_DRIVER");
}

TEST_F(BadPlan, FlagsThatMakeNoSense) {
  for (const std::vector<std::string> &flags :
       std::vector<std::vector<std::string>>{{"run", good.string()},                                // no prompt
                                             {"run", good.string(), "--ids", "1", "--prompt", "x"}, // two of them
                                             {"run", good.string(), "--ids", "1", "--device", "tpu"},
                                             {"run", good.string(), "--ids", "1", "--program", "sm_999"},
                                             {"run", good.string(), "--ids", "1", "-t", "-1"},
                                             {"run", good.string(), "--ids", "1", "--seed", "-1"},
                                             {"run", good.string(), "--ids", "1", "--random-weights", "-1"},
                                             {"check", good.string(), "--memory", "-5"},
                                             {"check", good.string(), "--batch", "0"},
                                             {"check", good.string(), "--batch", "-1"},
                                             {"check", good.string(), "--ctx", "0"},
                                             {"inspect", good.string(), "--json", "--program", "sm_999"},
                                             {"run", good.string(), "--ids", "1", "--frobnicate"},
                                             {"dance", good.string()},
                                             {}})
    expectRefusal(e2e::run("nanort", flags), 2, {"nanort"});
}

// A home that cannot be written only costs the cache.
TEST_F(BadPlan, ReadOnlyHome) {
  std::string old = getenv("HOME") ? getenv("HOME") : "";
  setenv("HOME", "/proc/self", 1);
  setenv("XDG_CACHE_HOME", "/proc/self/cache", 1);
  e2e::Result run = e2e::run("nanort", {"run", good.string(), "--device", "cpu", "--ids", "1", "-n", "2", "--json"});
  e2e::Result compile =
      e2e::run("nanocc", {(good.parent_path() / "model.mlir").string(), "-o", (scratch / "p.fb").string()});
  setenv("HOME", old.c_str(), 1);
  unsetenv("XDG_CACHE_HOME");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(compile.code, 0) << compile.err;
}

TEST_F(BadPlan, LogitsOntoAFullDisk) {
  auto reference = e2e::golden("gen-c") / "reference.safetensors";
  expectRefusal(e2e::run("nanort", {"eval", good.string(), "--device", "cpu", "--ids",
                                    reference.string() + ":prompt_ids", "--logits", "/dev/full"}),
                3, {"/dev/full"});
}

} // namespace
