#include "tests/unit/kernel_cases.h"

#include "kernels_templates/base/reference.h"
#include "kernels_templates/sample/philox.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace nanotest {

using namespace kernels;

namespace {

constexpr int64_t f32 = valueOf(DType::F32), bf16Type = valueOf(DType::BF16);

Scalar integer(int32_t value) { return {.i = value}; }
Scalar number(float value) { return {.f = value}; }

/// Word i of stream `stream`: the same on every machine.
uint32_t noise(uint32_t stream, size_t i) {
  return philox({static_cast<uint32_t>(i / 4), stream, 0, 0}, 2026, 0)[i % 4];
}

void put(Case &c, size_t b, size_t i, float value) {
  if (c.types[b] == DType::BF16)
    c.at<bf16>(b)[i] = roundToBf16(value);
  else if (c.types[b] == DType::F8E4M3)
    c.at<e4m3>(b)[i] = roundToE4m3(value);
  else
    c.at<float>(b)[i] = value;
}

uint64_t limitOf(std::string_view name, const Limits &limits) {
  if (name == "index")
    return limits.tokens;
  if (name == "positions")
    return limits.positions;
  return limits.vocab;
}

struct Slots {
  std::vector<int> rows, positions, starts, ends;
};

Slots slotsOf(const std::vector<Piece> &pieces, int padding) {
  Slots slots;
  for (const Piece &piece : pieces) {
    const size_t count = std::max<size_t>(slots.starts.size(), piece.row + 1);
    slots.starts.resize(count, 0);
    slots.ends.resize(count, 0);
    slots.starts[piece.row] = piece.start;
    slots.ends[piece.row] = piece.start + piece.count;
    for (int i = 0; i < piece.count; ++i) {
      slots.rows.push_back(piece.row);
      slots.positions.push_back(piece.start + i);
    }
  }
  slots.rows.insert(slots.rows.end(), padding, -1);
  slots.positions.insert(slots.positions.end(), padding, 0);
  return slots;
}

void copyInts(Case &c, size_t b, const std::vector<int> &values) {
  std::copy(values.begin(), values.end(), c.at<int>(b));
}

} // namespace

std::string Case::label() const {
  std::string text = kernel->text();
  for (const Param &param : kernel->params)
    text += " " + (param.isType ? std::string(nameOf(params.type(param.name))) : std::to_string(params[param.name]));
  for (size_t i = 0; i < scalars.size(); ++i) {
    const Arg &scalar = kernel->args[buffers.size() + i];
    text += " " + std::string(scalar.name) + "=" +
            (scalar.access == Access::F32 ? std::to_string(scalars[i].f) : std::to_string(scalars[i].i));
  }
  return text;
}

double Case::get(size_t b, size_t i) const {
  switch (types[b]) {
  case DType::F32:
    return at<float>(b)[i];
  case DType::BF16:
    return toFloat(at<bf16>(b)[i]);
  case DType::F8E4M3:
    return toFloat(at<e4m3>(b)[i]);
  case DType::I32:
    return at<int32_t>(b)[i];
  case DType::U32:
    return at<uint32_t>(b)[i];
  }
  std::abort();
}

void Case::runCpu(HostMath &math) {
  std::vector<void *> pointers;
  for (auto &buffer : buffers)
    pointers.push_back(buffer.data());
  findReference(kernel->meaning.name)({*kernel, params, pointers, scalars, math});
}

Case makeCase(const Kernel &kernel, const Values &params, std::vector<Scalar> scalars, const Limits &limits) {
  Case c;
  c.kernel = &kernel;
  c.params = params;
  c.scalars = std::move(scalars);
  c.limits = limits;
  const Values launch = c.launch();
  for (const Arg &arg : kernel.args) {
    if (isScalar(arg.access))
      continue;
    const size_t b = c.buffers.size(), count = kernel.elements(arg, launch, limits);
    c.types.push_back(elementType(arg, c.params));
    c.buffers.emplace_back(count * sizeOf(c.types[b]), arg.role == Role::Counters ? std::byte{0} : std::byte{0xff});
    if (arg.access == Access::Out || arg.access == Access::Scratch || arg.role == Role::Counters)
      continue;
    for (size_t i = 0; i < count; ++i) {
      const uint32_t word = noise(static_cast<uint32_t>(b), i);
      if (c.types[b] == DType::I32) // the product's high word: an id below the limit
        c.at<int32_t>(b)[i] =
            arg.name != "positions" && i % 5 == 3 ? -1 : static_cast<int32_t>(word * limitOf(arg.name, limits) >> 32);
      else
        put(c, b, i, static_cast<float>((word * 0x1p-31 - 1) * std::sqrt(3.0)));
    }
  }
  return c;
}

Case makeCase(std::string_view meaning, const Values &params, std::vector<Scalar> scalars, const Limits &limits) {
  return makeCase(*catalogue().kernel(meaning, ""), params, std::move(scalars), limits);
}

Case makeAttention(DType type, int heads, int kvHeads, int D, int ring, int window, const std::vector<Piece> &pieces,
                   int padding) {
  const Slots slots = slotsOf(pieces, padding);
  const Limits limits{slots.rows.size(), slots.starts.size(), 0, 1u << 20};
  Case c = makeCase(
      "attention_chunk", {{"T", valueOf(type)}, {"heads", heads}, {"kv_heads", kvHeads}, {"D", D}, {"ring", ring}},
      {integer(window), number(1 / std::sqrt(static_cast<float>(D))), integer(slots.rows.size())}, limits);
  copyInts(c, 4, slots.rows);
  copyInts(c, 5, slots.positions);
  copyInts(c, 6, slots.starts);
  const int rows = static_cast<int>(slots.starts.size());
  std::vector<bool> held(static_cast<size_t>(rows) * ring);
  for (int row = 0; row < rows; ++row)
    for (int j = std::max({0, slots.starts[row] - ring, slots.starts[row] - window}); j < slots.starts[row]; ++j)
      held[row * ring + j % ring] = true;
  for (size_t i = 0; i < c.elements(3); ++i) {
    const size_t slot = i / D % ring, row = i / D / ring / kvHeads / 2;
    if (!held[row * ring + slot])
      put(c, 3, i, std::numeric_limits<float>::quiet_NaN());
  }
  return c;
}

Case makeKvWrite(DType type, int kvHeads, int D, int ring, const std::vector<Piece> &pieces, int padding) {
  const Slots slots = slotsOf(pieces, padding);
  const Limits limits{slots.rows.size(), slots.starts.size(), 0, 1u << 20};
  Case c = makeCase("kv_write", {{"T", valueOf(type)}, {"kv_heads", kvHeads}, {"D", D}, {"ring", ring}},
                    {integer(slots.rows.size())}, limits);
  copyInts(c, 2, slots.rows);
  copyInts(c, 3, slots.positions);
  copyInts(c, 4, slots.ends);
  return c;
}

Case makeSample(int V, int Vp, int rows, float cap, const SampleSettings &settings) {
  return makeSample(*catalogue().kernel("sample", ""), V, Vp, rows, cap, settings);
}

Case makeSample(const Kernel &kernel, int V, int Vp, int rows, float cap, const SampleSettings &settings) {
  Case c = makeCase(kernel, {{"V", V}, {"Vp", Vp}}, {number(cap), integer(rows)});
  float *z = c.at<float>(0);
  for (size_t i = 0; i < c.elements(0); ++i)
    z[i] = std::round(z[i] * 24) / 8;
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  if (rows > 1) {
    z[Vp + V / 2] = nan;
    z[Vp + V - 1] = -infinity;
  }
  if (rows > 2)
    std::fill_n(z + 2 * Vp, V, nan);
  for (int id = 0; rows > 5 && id < V; ++id) {
    z[3 * Vp + id] = static_cast<float>(id / 3) / 8;
    z[4 * Vp + id] = -z[3 * Vp + id];
  }
  for (int i = 0; i < rows; ++i) {
    c.at<int>(1)[i] = rows > 1 && i == rows - 1 ? -1 : i;
    c.at<int>(2)[i] = 10 + i;
  }
  const uint32_t words[8] = {std::bit_cast<uint32_t>(settings.temperature), static_cast<uint32_t>(settings.topK),
                             static_cast<uint32_t>(settings.seed), static_cast<uint32_t>(settings.seed >> 32),
                             settings.rowBase};
  std::memcpy(c.at<uint32_t>(3), words, sizeof words);
  return c;
}

static void addAttention(std::vector<Case> &cases, const Kernel &kernel, DType T) {
  const bool write = kernel.meaning.name == "kv_write";
  struct Layout {
    int heads, kvHeads, D, ring, window;
    std::vector<Piece> pieces;
    int padding;
  };
  const Layout layouts[] = {
      {1, 1, 2, 1, 0, {{0, 0, 1}}, 0},
      {3, 1, 32, 64, 64, {{0, 0, 5}}, 3},
      {4, 2, 64, 9, 8, {{0, 0, 1}, {1, 8, 1}, {2, 9, 1}, {3, 100, 1}}, 0}, // decode, ragged
      {6, 3, 80, 17, 16, {{1, 0, 40}, {0, 30, 5}}, 7},                     // wraps inside a chunk; rows out of order
      {4, 4, 88, 21, 12, {{0, 19, 20}}, 1},                                // ring longer than the window
      {2, 1, 96, 128, 1000, {{0, 64, 33}, {1, 0, 2}}, 0},                  // window beyond every position
      {6, 6, 128, 513, 512, {{0, 512, 3}, {1, 513, 1}, {2, 1700, 2}}, 2},
      {2, 1, 64, 4096, 2999, {{0, 3500, 1}}, 0},
      {2, 2, 33, 11, 10, {{0, 5, 9}}, 0},
      {1, 1, 264, 40, 39, {{0, 37, 6}}, 0},
  };
  for (const Layout &l : layouts) {
    cases.push_back(write ? makeKvWrite(T, l.kvHeads, l.D, l.ring, l.pieces, l.padding)
                          : makeAttention(T, l.heads, l.kvHeads, l.D, l.ring, l.window, l.pieces, l.padding));
    cases.back().kernel = &kernel; // the engine adds no arguments
  }
}

/// Calls add(params, scalars) for every kind of product of K by N: types of output, norms, and the epilogue's scalars.
template <typename F> static void forProducts(const Kernel &kernel, int64_t T, int K, int N, int M, F add) {
  const std::string &name = kernel.meaning.name;
  const bool plain = name == "product" || name == "product_scaled" || name.ends_with("_relu2");
  for (int64_t O : plain &&T != f32 ? std::vector<int64_t>{T, f32} : std::vector<int64_t>{T})
    for (int64_t norm : plain ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{0}) { // no pass norms before a sum
      std::vector<Scalar> scalars = {integer(M)};
      if (name.find("_mix") != std::string::npos)
        scalars.insert(scalars.begin(), integer(M % 4)); // the layer
      Values params = {{"T", T}, {"O", O}, {"K", K}, {"N", N}, {"norm", norm}};
      if (name.starts_with("product_scaled"))
        params.set("W", valueOf(DType::F8E4M3));
      add(params, scalars);
    }
}

static void addReferences(std::vector<Case> &cases, const Kernel &kernel, int64_t T) {
  for (auto [K, N, n] : {std::tuple{32, 48, 1},
                         {33, 17, 3},
                         {96, 65, 8},
                         {80, 130, 9},
                         {88, 63, 65},
                         {256, 64, 70},
                         {7, 5, 130},
                         {768, 1000, 2},
                         {512, 321, 5}})
    forProducts(kernel, T, K, N, n, [&](const Values &params, const std::vector<Scalar> &scalars) {
      cases.push_back(makeCase(kernel, params, scalars));
    });
}

static void addStream(std::vector<Case> &cases, const Kernel &kernel, int64_t T) {
  // Split over K in one round and in several, K not a multiple of 32 and of 8, more K than is in flight; a warp per
  // column at N = 8,448 and more.
  for (auto [K, N, M] : {std::tuple{32, 48, 1},
                         {33, 17, 3},
                         {96, 65, 8},
                         {88, 130, 5},
                         {768, 1000, 2},
                         {768, 3000, 8},
                         {4104, 136, 7},
                         {3072, 768, 1},
                         {40, 8451, 3},
                         {776, 9000, 6}})
    forProducts(kernel, T, K, N, M, [&, M = M](const Values &params, const std::vector<Scalar> &scalars) {
      cases.push_back(makeCase(kernel, params.with({{"M", M}}), scalars));
    });
}

static void addMma(std::vector<Case> &cases, const Kernel &kernel, int64_t T) {
  // Every tile; rows, columns and K at, below and above a tile's border; one stage of K and more than are in flight; K
  // that 16-byte loads do not divide.
  for (auto [K, N, M, tileM, tileN] : {std::tuple{8, 1, 1, 32, 32},
                                       {72, 33, 9, 32, 32},
                                       {64, 96, 17, 32, 64},
                                       {640, 130, 31, 32, 32},
                                       {33, 64, 65, 64, 64},
                                       {96, 65, 130, 64, 64},
                                       {776, 200, 70, 64, 128},
                                       {136, 258, 129, 128, 64},
                                       {75, 130, 130, 128, 128},
                                       {520, 131, 257, 128, 128},
                                       {256, 128, 128, 128, 128},
                                       {64, 40, 200, 128, 32}})
    forProducts(kernel, T, K, N, M,
                [&, tileM = tileM, tileN = tileN](const Values &params, const std::vector<Scalar> &scalars) {
                  cases.push_back(makeCase(kernel, params.with({{"tile_m", tileM}, {"tile_n", tileN}}), scalars));
                });
}

static void addPrepareQkv(std::vector<Case> &cases, const Kernel &kernel, int64_t T) {
  for (int64_t P : {f32, bf16Type})
    for (auto [heads, kvHeads, D, n] : {std::tuple{1, 1, 2, 1},
                                        {3, 3, 32, 9},
                                        {6, 3, 64, 17},
                                        {4, 2, 66, 5},
                                        {5, 5, 80, 3},
                                        {8, 2, 96, 7},
                                        {16, 16, 128, 4},
                                        {1, 1, 264, 6}}) {
      Values params = {{"T", T}, {"P", P}, {"heads", heads}, {"kv_heads", kvHeads}, {"D", D}};
      std::vector<Scalar> scalars = {number(1.2f), integer(n)};
      if (kernel.meaning.name == "prepare_qkv_gate") {
        params = params.with({{"C", heads * D}, {"channels", std::min(D, 12)}});
        scalars.push_back(number(3));
      }
      cases.push_back(makeCase(kernel, params, scalars, {.vocab = 29, .positions = 37}));
    }
}

static void addTyped(std::vector<Case> &cases, const Kernel &kernel, int64_t T) {
  const std::string &name = kernel.meaning.name;
  auto add = [&](const Values &params, std::vector<Scalar> scalars, Limits limits = {}) {
    cases.push_back(makeCase(kernel, params.with({{"T", T}}), std::move(scalars), limits));
  };
  if (name == "embed" || name == "last") {
    for (auto [C, n] : {std::pair{1, 3}, {32, 1}, {33, 7}, {90, 65}, {768, 9}})
      add({{"C", C}}, {integer(n)}, {.tokens = 13, .vocab = 101});
  } else if (name == "embed_norm") {
    for (auto [C, n] : {std::pair{1, 3}, {32, 4}, {33, 7}, {90, 65}, {768, 9}, {2048, 1}})
      add({{"C", C}}, {integer(n)}, {.vocab = 101});
  } else if (name == "embed_norm_mix") {
    for (auto [C, n] : {std::pair{1, 3}, {32, 4}, {33, 7}, {90, 65}, {768, 9}, {2048, 1}})
      add({{"C", C}}, {integer(n % 3), integer(n)}, {.vocab = 101});
  } else if (name == "embed_smear_mix") {
    for (auto [C, channels, n] : {std::tuple{24, 24, 4}, {33, 12, 7}, {90, 1, 9}, {768, 24, 1}, {2048, 24, 8}})
      add({{"C", C}, {"channels", channels}}, {integer(n % 3), integer(n)}, {.vocab = 101});
  } else if (name == "embed_smear") {
    for (auto [C, channels, n] : {std::tuple{24, 24, 4}, {33, 12, 7}, {90, 1, 9}, {768, 24, 1}, {2048, 24, 8}})
      add({{"C", C}, {"channels", channels}}, {integer(n)}, {.vocab = 101});
  } else if (name == "rms_norm") {
    for (auto [width, n] : {std::pair{1, 3}, {32, 9}, {80, 5}, {88, 4}, {97, 7}, {768, 3}, {2048, 1}}) {
      add({{"width", width}}, {integer(n)});
      // Rows of 1, 1e-3, 1e-4 and 0: 2^-23 is the mean square of 3.5e-4, so that another epsilon shows.
      Case &c = cases.back();
      for (size_t i = 0; i < c.elements(0); ++i)
        put(c, 0, i, static_cast<float>(c.get(0, i)) * std::array{1.0f, 1e-3f, 1e-4f, 0.0f}[i / width % 4]);
    }
  } else if (name == "smear") {
    for (auto [C, channels, n] : {std::tuple{24, 24, 1}, {33, 12, 7}, {90, 1, 5}, {768, 24, 9}})
      add({{"C", C}, {"channels", channels}}, {integer(n)});
  } else if (name.starts_with("product")) {
    (!kernel.engine ? addReferences : kernel.engine->name == "stream" ? addStream : addMma)(cases, kernel, T);
  } else if (name.starts_with("prepare_qkv")) {
    addPrepareQkv(cases, kernel, T);
  } else if (name == "rope") {
    for (int64_t P : {f32, bf16Type})
      for (auto [heads, D, n] : {std::tuple{1, 2, 1}, {3, 32, 5}, {6, 64, 7}, {2, 80, 9}, {5, 88, 4}, {4, 128, 33}})
        add({{"P", P}, {"heads", heads}, {"D", D}}, {integer(n)}, {.positions = 37});
  } else if (name == "value_gate") {
    for (auto [heads, D, C, channels, n] :
         {std::tuple{1, 32, 32, 32, 1}, {3, 33, 99, 12, 7}, {2, 80, 160, 1, 9}, {6, 128, 768, 12, 5}})
      add({{"heads", heads}, {"D", D}, {"C", C}, {"channels", channels}}, {number(3), integer(n)}, {.vocab = 50});
  } else if (name == "attention_chunk" || name == "kv_write") {
    addAttention(cases, kernel, static_cast<DType>(T));
  } else { // element by element
    for (int count : {1, 7, 64, 1003}) {
      std::vector<Scalar> scalars = {integer(count)};
      if (name == "scale")
        scalars.insert(scalars.begin(), number(0.375f));
      else if (name == "mix")
        scalars.insert(scalars.begin(), integer(count % 4));
      add({}, scalars);
    }
  }
}

static void addLogits(std::vector<Case> &cases, const Kernel &kernel) {
  const std::string &name = kernel.meaning.name;
  if (name == "nll") {
    for (auto [V, n] : {std::pair{1, 2}, {5, 9}, {1000, 4}, {32768, 3}})
      cases.push_back(makeCase(kernel, {{"V", V}}, {integer(n)}, {.vocab = static_cast<uint64_t>(V)}));
    return;
  }
  for (float cap : {0.0f, 15.0f})
    for (auto [V, Vp, n] : {std::tuple{1, 1, 1}, {5, 64, 3}, {257, 257, 6}, {1000, 1024, 5}, {32768, 32768, 4}}) {
      if (name == "softcap") {
        cases.push_back(makeCase(kernel, {{"V", V}, {"Vp", Vp}}, {number(cap), integer(n)}));
        continue;
      }
      for (float temperature : {0.0f, 0.7f, 1.5f})
        for (int topK : {0, 1, 4, 50, V - 1, V + 3})
          cases.push_back(makeSample(kernel, V, Vp, n, cap, {temperature, topK, 0x1234567890abcdefull + topK, 7}));
    }
  if (name == "softcap")
    return;
  // Borders of the sampler's tiles of 2,048 columns and of a small top_k (64), so many rows that slices have several
  // tiles, and more slices than candidates are merged of.
  struct Shape {
    int V, Vp, rows;
    std::vector<int> topK;
  };
  for (const Shape &s : {Shape{2047, 2048, 3, {0, 63, 64, 65}},
                         {2048, 2050, 5, {0, 64, 65, 2047, 2048}},
                         {2049, 2052, 6, {0, 1, 64, 65, 2048}},
                         {8193, 8193, 6, {0, 2, 50, 64, 100}},
                         {10001, 10002, 128, {0, 50}},
                         {10241, 10244, 199, {0, 50}},
                         {20001, 20004, 100, {0, 50}},
                         {65536, 65536, 6, {0, 1, 50, 64, 1000}},
                         {70003, 70016, 6, {0, 33, 64, 200}},
                         {270001, 270004, 2, {0, 50}}})
    for (float temperature : {0.0f, 0.8f})
      for (int topK : s.topK)
        if (temperature > 0 || topK == 0)
          cases.push_back(makeSample(kernel, s.V, s.Vp, s.rows, 15, {temperature, topK, 99u + topK, 3}));
}

std::vector<Case> casesOf(const Kernel &kernel) {
  const std::string &name = kernel.meaning.name;
  const std::string_view engine = kernel.engine ? kernel.engine->name : "";
  std::vector<Case> cases;
  if (name == "nll" || name == "softcap" || name == "sample") {
    addLogits(cases, kernel);
    return cases;
  }
  if (name == "feed" || name == "advance")
    return generationCases(kernel);
  if (name == "attention_chunk" && (engine == "mma" || engine == "wgmma"))
    return attentionTileCases(kernel);
  if (name.starts_with("attention_step"))
    return attentionStepCases(kernel);
  if (name.starts_with("product") && engine == "wgmma")
    return productWgmmaCases(kernel);
  addTyped(cases, kernel, f32);
  addTyped(cases, kernel, bf16Type);
  return cases;
}

} // namespace nanotest
