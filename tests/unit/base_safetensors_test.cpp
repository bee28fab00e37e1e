#include "runtime/base/safetensors.h"
#include "tests/unit/base_errors.h"

#include <cstring>
#include <random>

using namespace nanort;
using namespace nanotest;

namespace {

std::string fileOf(const std::string &header, const std::string &data) {
  std::string length(8, '\0');
  const uint64_t size = header.size();
  std::memcpy(length.data(), &size, 8);
  return length + header + data;
}

struct SafetensorsTest : testing::Test {
  TemporaryDirectory dir;
  Safetensors open(const std::string &header, const std::string &data) {
    writeFile(dir / "f.safetensors", fileOf(header, data));
    return Safetensors::open(dir / "f.safetensors");
  }
  void refused(const std::string &part, const std::string &header, const std::string &data) {
    expectError(Exit::Input, part, [&] { open(header, data); });
  }
};

std::span<const std::byte> bytesOf(std::string_view text) { return std::as_bytes(std::span(text)); }

} // namespace

TEST_F(SafetensorsTest, ReadsWhatItWrites) {
  SafetensorsWriter writer(dir / "f", {{"b", "BF16", {2, 3}}, {"a\"é", "F32", {}}, {"none", "I64", {0, 5}}},
                           {{"format", "pt"}});
  writer.write(bytesOf("0123456"));
  writer.write(bytesOf("789abcdef"));
  writer.commit();
  const Safetensors file = Safetensors::open(dir / "f");
  EXPECT_EQ(file.metadata().at("format"), "pt");
  ASSERT_EQ(file.tensors().size(), 3u);
  const Tensor &b = file.at("b");
  EXPECT_EQ(b.dtype, "BF16");
  EXPECT_EQ(b.shape, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(b.elements(), 6u);
  EXPECT_EQ(std::memcmp(b.data.data(), "0123456789ab", 12), 0);
  EXPECT_EQ(file.at("a\"é").data.size(), 4u);
  EXPECT_EQ(file.at("none").data.size(), 0u);
  EXPECT_EQ(file.find("c"), nullptr);
  expectError(Exit::Input, "nearest: 'b'", [&] { file.at("bb"); });
  EXPECT_EQ(reinterpret_cast<uintptr_t>(b.data.data()) % 64, 0u) << "data should start aligned";
}

TEST_F(SafetensorsTest, WriterHoldsTheCallerToItsDeclarations) {
  const std::vector<SafetensorsWriter::Declaration> one{{"a", "F32", {1}}};
  expectError(Exit::Internal, "3 bytes written, 4", [&] {
    SafetensorsWriter writer(dir / "f", one);
    writer.write(bytesOf("abc"));
    writer.commit();
  });
  expectError(Exit::Internal, "'a'", [&] { SafetensorsWriter(dir / "f", {one[0], one[0]}); });
  expectError(Exit::Internal, "F5", [&] { SafetensorsWriter(dir / "f", {{"a", "F5", {1}}}); });
  EXPECT_EQ(filesIn(dir.path), 0u);
}

TEST_F(SafetensorsTest, RefusesDamagedHeaders) {
  writeFile(dir / "short", "1234");
  expectError(Exit::Input, "4 bytes", [&] { Safetensors::open(dir / "short"); });
  writeFile(dir / "huge", std::string(8, '\xff') + "{}");
  expectError(Exit::Input, "18446744073709551615", [&] { Safetensors::open(dir / "huge"); });
  refused("begin with", "[]", "");
  refused("byte", "{", "");
  refused("begin with", "", "");
  refused(
      "twice",
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
      "x");
  refused("deeper", R"({"a":{"dtype":[[[[1]]]]}})", "");
}

TEST_F(SafetensorsTest, RefusesImpossibleTensors) {
  refused("lacks", R"({"a":{"dtype":"U8","shape":[1]}})", "x");
  refused("lacks", R"({"a":5})", "x");
  refused("unknown dtype", R"({"a":{"dtype":"Q8","shape":[1],"data_offsets":[0,1]}})", "x");
  refused("data_offsets [0, 4] in 1", R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "x");
  refused("data_offsets [1, 0]", R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[1,0]}})", "x");
  refused("needs 2 bytes", R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,1]}})", "x");
  refused("non-negative", R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", "x");
  refused("non-negative", R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", "x");
  refused("more than 2^64", R"({"a":{"dtype":"U8","shape":[4294967296,4294967297],"data_offsets":[0,1]}})", "x");
  refused(
      "'a' and 'b' overlap",
      R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
      "xyz");
  refused(
      "from offset 1 to 2",
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
      "xyz");
  refused("last 2 bytes", R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "xyz");
}

// Any header either reads consistently or is refused in one line; nothing crashes or hangs.
TEST_F(SafetensorsTest, SurvivesMutations) {
  const std::string good = fileOf(
      R"({"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]}})",
      std::string(22, 'x'));
  std::mt19937 random(7);
  int accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string bad = good;
    for (int edits = 1 + static_cast<int>(random() % 4); edits > 0; --edits) {
      const size_t at = random() % bad.size();
      switch (random() % 3) {
      case 0:
        bad[at] = static_cast<char>(random());
        break;
      case 1:
        bad.erase(at, random() % 9);
        break;
      default:
        bad.insert(at, 1, "0123456789{}[]\",:"[random() % 17]);
      }
      if (bad.empty())
        bad = "x";
    }
    writeFile(dir / "f", bad);
    try {
      const Safetensors file = Safetensors::open(dir / "f");
      for (const auto &[name, tensor] : file.tensors())
        EXPECT_EQ(tensor.elements() * *dtypeBytes(tensor.dtype), tensor.data.size());
      ++accepted;
    } catch (const Error &error) {
      EXPECT_EQ(error.code, Exit::Input);
    }
  }
  EXPECT_LT(accepted, 2000) << "mutations should mostly be noticed"; // edits of names and data are legitimate
}
