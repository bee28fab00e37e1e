// The sweeps of attention_decode and attention_batch: launches of one token per slot.
#include "tests/unit/family_cases.h"

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

/// `spread` are the parameters behind the ring, by which the family spreads the work.
Case makeDecode(std::string_view family, DType type, DType table, const Heads &h, std::vector<int64_t> spread,
                const std::vector<Token> &tokens) {
  Limits limits{tokens.size(), 1, 29, 1};
  for (const Token &token : tokens) {
    limits.rows = std::max<uint64_t>(limits.rows, token.row + 1);
    limits.positions = std::max<uint64_t>(limits.positions, token.position + 1);
  }
  std::vector<int64_t> params = {
      static_cast<int64_t>(type), static_cast<int64_t>(table), h.heads, h.kvHeads, h.D, h.ring};
  params.insert(params.end(), spread.begin(), spread.end());
  std::vector<Scalar> scalars = {{.f = 1.2f},
                                 {.i = h.window},
                                 {.f = 1 / std::sqrt(static_cast<float>(h.D))},
                                 {.i = static_cast<int32_t>(tokens.size())}};
  if (family.ends_with("_ve")) {
    params.insert(params.end(), {h.heads * h.D, std::min(h.D, 12)});
    scalars.push_back({.f = 3});
  }
  Case c = makeCase(std::string(family).c_str(), params, scalars, limits);
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
  for (size_t b = 0; b < c.buffers.size(); ++b)
    if (c.decls[b].name == "counters")
      std::fill_n(c.at<uint32_t>(b), c.elements(b), 0);
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

std::vector<Case> attentionDecodeCases(std::string_view family) {
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
        cases.push_back(makeDecode(family, type, table, l.heads, {l.cluster}, l.tokens));
  return cases;
}

std::vector<Case> attentionBatchCases(std::string_view family) {
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
      cases.push_back(makeDecode(family, DType::BF16, table, l.heads, {l.chunk, l.blocks}, l.tokens));
  return cases;
}

} // namespace nanotest
