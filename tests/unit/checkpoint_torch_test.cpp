// Damaged and hostile .pt files.
#include "tests/unit/checkpoint_files.h"

#include <random>

using namespace nanocc;
using namespace nanotest;
using nanort::Exit;

namespace {

struct TorchTest : testing::Test {
  TemporaryDirectory dir;
  std::filesystem::path in = dir / "in", out = dir / "out", model = in / "model_000100.pt";
  std::vector<TorchTensor> tensors = tinyTensors('E');
  TorchTensor &first = tensors.front();

  TorchTest() { writeCheckpoint(in, tensors); }
  void refused(Exit code, const std::string &part) {
    expectError(code, part, [&] { importModel(importOptions(in, out)); });
    EXPECT_TRUE(!std::filesystem::exists(out) || filesIn(out) == 0) << part;
  }
  void refusedTensors(Exit code, const std::string &part) {
    writeTorch(model, tensors);
    refused(code, part);
  }
};

} // namespace

TEST_F(TorchTest, TruncatedAtAnyLength) {
  const std::string whole = readFile(model);
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    // The ends are where the archive's structure is.
    const size_t length = round < 100   ? static_cast<size_t>(round)
                          : round < 200 ? whole.size() - static_cast<size_t>(round - 99)
                                        : random() % whole.size();
    writeFile(model, whole.substr(0, length));
    refused(Exit::Input, "model_000100.pt");
  }
}

TEST_F(TorchTest, FlippedBitsNeverCrash) {
  const std::string whole = readFile(model);
  std::mt19937 random(2);
  int noticed = 0;
  for (int round = 0; round < 500; ++round) {
    std::string bad = whole;
    bad[round % 2 ? random() % bad.size() : bad.size() - 1 - random() % 4000] ^= static_cast<char>(1 << random() % 8);
    writeFile(model, bad);
    try {
      importModel(importOptions(in, out));
    } catch (const nanort::Error &error) {
      EXPECT_TRUE(error.code == Exit::Input || error.code == Exit::Unsupported) << error.what();
      ++noticed;
    }
  }
  // Data is under a checksum; what goes unnoticed is in dates, flags and padding of the archive's own records.
  EXPECT_GT(noticed, 250);
}

TEST_F(TorchTest, MutatedPicklesNeverCrash) {
  const std::string good = torchPickle(tensors);
  std::mt19937 random(3);
  for (int round = 0; round < 500; ++round) {
    std::string bad = good;
    for (int edits = 1 + static_cast<int>(random() % 3); edits > 0; --edits)
      bad[random() % bad.size()] = static_cast<char>(random());
    writeTorch(model, tensors, bad);
    try {
      importModel(importOptions(in, out));
    } catch (const nanort::Error &error) {
      EXPECT_TRUE(error.code == Exit::Input || error.code == Exit::Unsupported) << error.what();
    }
  }
}

TEST_F(TorchTest, StoragesMustHoldTheirTensors) {
  const TorchTensor good = first;
  const auto elements = static_cast<int64_t>(good.data.size() / 4);
  first.elements = elements + 1;
  refusedTensors(Exit::Input, "should have");
  first.elements = INT64_MAX;
  refusedTensors(Exit::Input, "should have");
  first.elements = -1;
  refusedTensors(Exit::Input, "malformed storage");
  first = good;
  first.offset = 1;
  refusedTensors(Exit::Input, "goes past its storage");
  first.offset = -1;
  refusedTensors(Exit::Input, "goes past its storage");
  first.offset = INT64_MAX;
  refusedTensors(Exit::Input, "goes past its storage");
  first = good;
  first.data.resize(first.data.size() - 4);
  refusedTensors(Exit::Input, "goes past its storage");
  first = good;
  first.shape = {uint64_t{1} << 62, uint64_t{1} << 62};
  refusedTensors(Exit::Input, "'" + good.name + "'");
}

TEST_F(TorchTest, ViewsIntoALargerStorageAreRead) {
  writeCheckpoint(in, tensors);
  importModel(importOptions(in, out));
  const std::string expected = readFile(out / "model.safetensors");
  first.data = "skip" + first.data + "rest";
  first.offset = 1;
  writeTorch(model, tensors);
  importModel(importOptions(in, out));
  EXPECT_EQ(readFile(out / "model.safetensors"), expected);
}

TEST_F(TorchTest, StridesMustBeContiguous) {
  for (TorchTensor &tensor : tensors)
    if (tensor.name == "transformer.h.0.attn.c_q.weight")
      tensor.strides = {{1, 64}};
  refusedTensors(Exit::Unsupported, ".contiguous()");
  tensors = tinyTensors('E');
  tensors.front().strides.emplace();
  refusedTensors(Exit::Unsupported, "strides []");
  // The stride of an axis of one element says nothing.
  tensors = tinyTensors('E');
  for (TorchTensor &tensor : tensors)
    if (tensor.name == "smear_gate.weight")
      tensor.strides = {{999, 1}};
  writeTorch(model, tensors);
  importModel(importOptions(in, out));
}

TEST_F(TorchTest, OtherArchivesAreRefused) {
  writeTorch(model, tensors, std::nullopt, true);
  refused(Exit::Input, "compressed");
  writeTorch(model, tensors,
             "\x80\x02]N"
             "a.");
  refused(Exit::Input, "dictionary of tensors");
  writeTorch(model, tensors, "\x80\x02}" + pickleText("model") + "}s.");
  refused(Exit::Input, "'model' that is not a tensor");
  writeTorch(model, tensors, "cos\nsystem\n" + pickleText("touch " + (dir / "executed").native()) + "\x85R.");
  refused(Exit::Input, "'os.system'");
  EXPECT_FALSE(std::filesystem::exists(dir / "executed"));
  tensors.push_back(tensors.front());
  tensors.back().name = "_orig_mod." + tensors.back().name;
  refusedTensors(Exit::Input, "twice");
  writeFile(model, "\x80\x02}.");
  refused(Exit::Input, "zip archive");
}
