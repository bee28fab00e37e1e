#include "compiler/import/CheckpointConfig.h"
#include "tests/unit/checkpoint_files.h"

using namespace nanocc;
using namespace nanotest;
using nanort::Exit;

static uint64_t parameterCount(const ModelConfig &config) {
  uint64_t total = 0;
  for (const ParameterDecl &parameter : parametersOf(config)) {
    uint64_t count = 1;
    for (const uint64_t extent : parameter.shape)
      count *= extent;
    total += count;
  }
  return total;
}

// Published counts: 560,988,160 (A d20), 1,681,790,292 (C d26); the others by upstream's own formula.
TEST(ModelConfig, ParameterCountsAreUpstreams) {
  const std::vector<std::tuple<uint32_t, char, uint64_t>> known{
      {12, 'A', 185'597'952},   {20, 'A', 560'988'160},   {26, 'A', 1'081'999'360}, {32, 'A', 1'879'048'192},
      {34, 'A', 2'217'082'880}, {4, 'E', 36'700'242},     {12, 'E', 286'261'730},   {20, 'E', 896'533'746},
      {24, 'E', 1'384'122'122}, {26, 'E', 1'681'786'938}, {32, 'E', 2'818'575'450}, {34, 'E', 3'286'633'962},
      {26, 'C', 1'681'790'292}};
  for (const auto &[depth, generation, count] : known)
    EXPECT_EQ(parameterCount(presetConfig(depth, generation)), count) << "d" << depth << generation;
}

TEST(ModelConfig, ShortWindows) {
  const std::vector<std::tuple<char, uint32_t, uint32_t>> known{{'B', 2048, 1024}, {'C', 2048, 1024}, {'D', 2048, 768},
                                                                {'D', 1024, 384},  {'D', 4096, 1408}, {'E', 2048, 512},
                                                                {'E', 4096, 1024}, {'E', 1024, 256},  {'E', 512, 128}};
  for (const auto &[generation, length, window] : known)
    EXPECT_EQ(shortWindowOf(generation, length), window) << generation << length;
}

TEST(ModelConfig, LayersOfAGeneration) {
  const ModelConfig e = presetConfig(12, 'E');
  EXPECT_EQ(e.windows, (std::vector<uint32_t>{512, 512, 512, 2048, 512, 512, 512, 2048, 512, 512, 512, 2048}));
  for (uint32_t i = 0; i < 12; ++i)
    EXPECT_EQ(e.valueEmbeds[i], i % 2 == 1) << i;
  EXPECT_EQ(e.gateChannels, 12u);
  EXPECT_EQ(e.gateRange, 3.0f);
  EXPECT_EQ(e.qkMult, 1.2f);
  EXPECT_EQ(e.ropeBase, 100'000);
  EXPECT_FALSE(e.ropeTableBf16);
  EXPECT_FALSE(e.tokenizer);

  ModelConfig odd = tinyConfig('C');
  EXPECT_EQ(odd.valueEmbeds, (std::vector<bool>{true, false, true}));
  EXPECT_EQ(odd.windows, (std::vector<uint32_t>{64, 64, 128})) << "the last layer is always L";
  EXPECT_EQ(odd.paddedVocab, 320u);
  EXPECT_EQ(odd.gateChannels, 32u);
  EXPECT_EQ(odd.gateRange, 2.0f);
  EXPECT_TRUE(odd.ropeTableBf16);

  const ModelConfig a = presetConfig(20, 'A');
  EXPECT_EQ(a.windows, std::vector<uint32_t>(20, 0));
  EXPECT_EQ(a.vocab, 65536u);
  EXPECT_FALSE(a.lambdas || a.smear || a.backout || a.gateChannels);
  EXPECT_EQ(presetConfig(12, 'D').qkMult, 1.15f);
  EXPECT_EQ(presetConfig(12, 'D').windows[0], 768u);
}

TEST(ModelConfig, RefusesImpossibleDimensions) {
  const auto refused = [](const std::string &part, const std::function<void(ModelConfig &)> &change) {
    ModelConfig config = tinyConfig('E');
    change(config);
    expectError(Exit::Input, part, [&] { applyGeneration(config, 'E'); });
  };
  refused("width 65", [](ModelConfig &c) { c.width = 65; });
  refused("cannot share 3", [](ModelConfig &c) { c.kvHeads = 3; });
  refused("odd", [](ModelConfig &c) { c.width = 60, c.headDim = 15; });
  refused("24 channels", [](ModelConfig &c) { c.width = 16, c.headDim = 4; });
  refused("layers", [](ModelConfig &c) { c.layers = 1 << 24; });
  refused("zero", [](ModelConfig &c) { c.heads = 0; });
  expectError(Exit::Usage, "preset d7", [] { presetConfig(7, 'E'); });
  expectError(Exit::Usage, "'F'", [] { presetConfig(12, 'F'); });
}

namespace {

struct OverridesTest : testing::Test {
  TemporaryDirectory dir;
  ModelConfig configWith(const Overrides &overrides, char generation = 'E') {
    writeCheckpoint(dir.path, tinyTensors(generation));
    return configOf(*Checkpoint::open(dir.path, std::nullopt), overrides);
  }
  void usage(const std::string &part, const Overrides &overrides, char generation = 'E') {
    expectError(Exit::Usage, part, [&] { configWith(overrides, generation); });
  }
};

} // namespace

TEST_F(OverridesTest, GenerationIsToldFromTheTensors) {
  for (const char generation : std::string("ABCDE"))
    EXPECT_EQ(configWith({}, generation).generation, generation);
  EXPECT_EQ(configWith({.generation = 'D'}).qkMult, 1.15f);
}

TEST_F(OverridesTest, ReplaceConstants) {
  const ModelConfig config = configWith(
      {.softcap = 20, .ropeBase = 5000, .qkMult = 1.15, .gateScale = 2.5, .windowPattern = "sl", .shortWindow = 7});
  EXPECT_EQ(config.softcap, 20.0f);
  EXPECT_EQ(config.ropeBase, 5000.0);
  EXPECT_EQ(config.qkMult, 1.15f);
  EXPECT_EQ(config.gateRange, 2.5f);
  EXPECT_EQ(config.windows, (std::vector<uint32_t>{7, 128, 128}));
  // Without the pattern in its metadata a model has no windows but the sequence itself.
  EXPECT_EQ(configWith({}).windows, (std::vector<uint32_t>{128, 128, 128}));
}

TEST_F(OverridesTest, RefuseNonsense) {
  usage("--softcap", {.softcap = -1});
  usage("--softcap", {.softcap = std::stod("nan")});
  for (double base : {0.0, 0.5, 1.0, 1.0 + 1e-12, 1e39, -2.0})
    usage("--rope-base must be above 1 and up to 3.4e38", {.ropeBase = base});
  usage("--qk-mult", {.qkMult = 1e300});
  usage("--gate-scale", {.gateScale = 2}, 'A');
  usage("'SXL'", {.windowPattern = "SXL"});
  usage("empty", {.windowPattern = ""});
  usage("without S layers", {.shortWindow = 64});
  usage("1 to the sequence length 128", {.windowPattern = "SL", .shortWindow = 129});
}
