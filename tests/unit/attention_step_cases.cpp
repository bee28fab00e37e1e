// The sweeps of attention_step: launches of one token per slot.
#include "tests/unit/kernel_cases.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace nanotest {

using namespace kernels;

namespace {

struct Token {
  int row, position; // row -1: padding
};

struct Heads {
  int heads, kvHeads, D, ring, window;
};

/// `spread` are the engine's parameters.
Case makeStep(const Kernel &kernel, DType type, DType table, const Heads &h, const Values &spread,
              const std::vector<Token> &tokens) {
  Limits limits{tokens.size(), 1, 29, 1};
  for (const Token &token : tokens) {
    limits.rows = std::max<uint64_t>(limits.rows, token.row + 1);
    limits.positions = std::max<uint64_t>(limits.positions, token.position + 1);
  }
  Values params = {{"T", valueOf(type)}, {"P", valueOf(table)}, {"heads", h.heads}, {"kv_heads", h.kvHeads},
                   {"D", h.D},           {"ring", h.ring}};
  std::vector<Scalar> scalars = {{.f = 1.2f},
                                 {.i = h.window},
                                 {.f = 1 / std::sqrt(static_cast<float>(h.D))},
                                 {.i = static_cast<int32_t>(tokens.size())}};
  if (kernel.meaning.name == "attention_step_gate") {
    params = params.with({{"C", h.heads * h.D}, {"channels", std::min(h.D, 12)}});
    scalars.push_back({.f = 3});
  }
  Case c = makeCase(kernel, params.with(spread), scalars, limits);
  std::vector<bool> held(limits.rows * h.ring);
  for (size_t t = 0; t < tokens.size(); ++t) {
    const auto [row, position] = tokens[t];
    c.at<int>(2)[t] = row;
    c.at<int>(3)[t] = position;
    if (row >= 0)
      for (int j = std::max({0, position - h.window, position - h.ring + 1}); j < position; ++j)
        held[row * h.ring + j % h.ring] = true;
  }
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  for (size_t i = 0; i < c.elements(4); ++i) {
    if (held[i / h.D / h.ring / h.kvHeads / 2 * h.ring + i / h.D % h.ring])
      continue;
    if (type == DType::BF16)
      c.at<bf16>(4)[i] = roundToBf16(nan);
    else
      c.at<float>(4)[i] = nan;
  }
  return c;
}

/// `count` rows of lengths from 1 to the window's and beyond, in no order, every seventh slot padding.
std::vector<Token> mixed(int count, int most) {
  std::vector<Token> tokens;
  for (int i = 0; i < count; ++i)
    tokens.push_back({i % 7 == 5 ? -1 : (i * 37 + 11) % count, i * i * 131 % most});
  std::vector<bool> taken(count); // a row has one token
  for (Token &token : tokens) {
    while (token.row >= 0 && taken[token.row])
      token.row = (token.row + 1) % count;
    if (token.row >= 0)
      taken[token.row] = true;
  }
  return tokens;
}

} // namespace

static std::vector<Case> clusterCases(const Kernel &kernel) {
  struct Layout {
    Heads heads;
    int cluster;
    std::vector<Token> tokens;
  };
  const Layout layouts[] = {
      {{1, 1, 8, 1, 0}, 1, {{0, 0}}},                                                 // the new key alone
      {{3, 3, 32, 64, 64}, 4, {{0, 0}, {1, 31}, {2, 32}, {3, 33}, {-1, 0}, {4, 63}}}, // borders of tiles
      {{4, 2, 64, 9, 8}, 2, {{3, 100}, {0, 0}, {2, 9}, {1, 8}}},                      // wraps; rows out of order
      {{6, 3, 80, 17, 16}, 1, {{0, 15}, {1, 16}, {2, 17}, {3, 31}, {4, 32}, {5, 47}, {6, 48}, {7, 1000}}},
      {{8, 1, 96, 128, 1000}, 4, {{0, 127}, {1, 96}, {2, 95}}}, // a window of every position
      {{6, 6, 128, 513, 512}, 8, {{0, 512}, {1, 513}, {2, 511}, {3, 1700}}},
      {{2, 1, 64, 3000, 2999}, 8, {{0, 3500}}}, // several rounds of tiles
      {{2, 1, 64, 1500, 1499}, 1, {{0, 1600}}},
      {{10, 2, 128, 700, 700}, 8, {{0, 699}, {1, 640}, {2, 5}, {-1, 0}, {3, 300}}},
      {{4, 4, 88, 21, 12}, 1, {{0, 39}, {1, 12}, {2, 13}}},                        // ring longer than the window
      {{2, 2, 64, 200, 70}, 2, {{0, 199}, {1, 200}, {2, 230}, {3, 275}, {4, 60}}}, // whole tiles unseen between others
      {{1, 1, 264, 40, 39}, 2, {{0, 42}}},
  };
  std::vector<Case> cases;
  for (DType type : {DType::F32, DType::BF16})
    for (const Layout &l : layouts)
      for (DType table : {type, DType::BF16})
        cases.push_back(makeStep(kernel, type, table, l.heads,
                                 kernel.engine ? Values{{"cluster", l.cluster}} : Values{}, l.tokens));
  return cases;
}

static std::vector<Case> spreadCases(const Kernel &kernel) {
  struct Layout {
    Heads heads;
    int64_t chunk, blocks;
    std::vector<Token> tokens;
  };
  const Layout layouts[] = {
      {{1, 1, 32, 1, 0}, 32, 1, {{0, 0}}},                                                    // the new key alone
      {{3, 3, 128, 200, 200}, 64, 5, {{1, 63}, {0, 64}, {2, 65}, {-1, 0}, {3, 0}, {4, 199}}}, // borders of chunks
      {{4, 2, 64, 65, 64}, 32, 3, {{3, 100}, {0, 0}, {2, 64}, {1, 65}, {4, 66}, {5, 1000}}}, // wraps; rows out of order
      {{8, 1, 96, 128, 1000}, 32, 2, {{0, 127}, {-1, 0}, {1, 96}, {2, 95}}}, // a window of every position
      {{6, 6, 128, 513, 512}, 128, 7, mixed(8, 1700)},
      {{2, 2, 64, 200, 70}, 64, 4, {{0, 199}, {1, 200}, {2, 230}, {3, 275}, {4, 60}}}, // chunks unseen between others
      {{10, 2, 128, 700, 700}, 256, 3, mixed(5, 700)},
      {{2, 1, 256, 90, 89}, 32, 6, mixed(3, 200)},
      {{2, 1, 64, 3000, 2999}, 64, 9, {{0, 3500}}}, // more chunks than lanes
      {{3, 3, 32, 40, 39}, 32, 4, mixed(128, 100)},
      {{1, 1, 32, 64, 63}, 32, 50, mixed(9, 80)},      // fewer chunks than warps
      {{2, 2, 64, 33, 32}, 32, 2, {{-1, 0}, {-1, 0}}}, // nothing but padding
  };
  std::vector<Case> cases;
  for (const Layout &l : layouts)
    for (DType table : {DType::F32, DType::BF16})
      cases.push_back(
          makeStep(kernel, DType::BF16, table, l.heads, {{"chunk", l.chunk}, {"blocks", l.blocks}}, l.tokens));
  return cases;
}

std::vector<Case> attentionStepCases(const Kernel &kernel) {
  return kernel.engine && kernel.engine->name == "spread" ? spreadCases(kernel) : clusterCases(kernel);
}

} // namespace nanotest
