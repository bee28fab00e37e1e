// The sweeps of attention_chunk by mma and wgmma: launches with what their tiles may get wrong.
#include "tests/unit/kernel_cases.h"

#include <algorithm>
#include <limits>

namespace nanotest {

using namespace kernels;

namespace {

struct Layout {
  int heads, kvHeads, D, ring, window;
  std::vector<Piece> pieces;
  int padding;
  std::vector<int> ends = {}; // for every piece, tokens at its end that are padding instead
};

struct Tiles {
  int64_t queries, keys, stages;
  int64_t blocks = 3; // few, so that each takes several items; of wgmma alone
};

/// Slot `t` belongs to nobody, and nothing may come of what it holds.
void clearSlot(Case &c, size_t t) {
  c.at<int>(4)[t] = -1;
  c.at<int>(5)[t] = 0;
  for (size_t b : {0, 1, 2}) {
    const size_t width = c.elements(b) / c.elements(4);
    std::fill_n(c.at<bf16>(b) + t * width, width, roundToBf16(std::numeric_limits<float>::quiet_NaN()));
  }
}

Case makeTiled(const Kernel &kernel, const Layout &l, const Tiles &tiles) {
  Case c = makeAttention(DType::BF16, l.heads, l.kvHeads, l.D, l.ring, l.window, l.pieces, l.padding);
  c.kernel = &kernel;
  c.params = c.params.with({{"tile_q", tiles.queries}, {"tile_k", tiles.keys}, {"stages", tiles.stages}});
  if (kernel.engine->name == "wgmma") {
    c.params.set("blocks", tiles.blocks);
    c.types.push_back(DType::U32);
    c.buffers.emplace_back(sizeof(uint32_t)); // the counter
  }
  size_t slot = 0;
  for (size_t i = 0; i < l.pieces.size(); ++i) {
    slot += l.pieces[i].count;
    for (int back = 1; i < l.ends.size() && back <= l.ends[i]; ++back)
      clearSlot(c, slot - back);
  }
  for (; slot < c.elements(4); ++slot)
    clearSlot(c, slot);
  return c;
}

// Prompts that end within tiles, padding between and behind them, a second chunk whose ring has wrapped and one whose
// ring has not.
const Layout mixed = {3, 1, 64, 101, 100, {{0, 0, 70}, {1, 250, 90}, {2, 40, 65}, {3, 0, 1}}, 9, {6, 0, 30, 0}};

const Layout layouts[] = {
    {1, 1, 32, 1, 0, {{0, 0, 1}}, 0},
    {2, 1, 32, 65, 64, {{0, 0, 63}}, 2},
    {6, 3, 64, 2, 1, {{0, 7, 130}}, 0},                            // a window of two keys
    {3, 3, 96, 64, 63, {{0, 0, 64}, {1, 64, 64}}, 0},              // borders of tiles
    {4, 2, 96, 513, 512, {{1, 512, 30}, {0, 1700, 35}}, 63},       // rows out of order
    {2, 2, 128, 200, 1000, {{0, 64, 100}, {1, 0, 29}}, 0},         // window beyond every position
    {2, 1, 128, 101, 63, {{0, 300, 129}, {1, 0, 40}}, 0, {0, 40}}, // ring longer than the window; a prompt of padding
    {3, 1, 128, 300, 290, {{0, 290, 3}, {1, 291, 1}, {2, 5, 2}, {3, 0, 140}, {4, 1200, 60}}, 5},
    {1, 1, 64, 33, 32, {{0, 31, 1}, {1, 32, 1}, {2, 33, 1}, {3, 34, 1}, {4, 100, 1}, {5, 0, 1}}, 1},
    {2, 2, 128, 17, 16, {{0, 0, 0}}, 70}, // nothing but padding
};

} // namespace

static std::vector<Case> wgmmaCases(const Kernel &kernel) {
  const Tiles every[] = {{64, 64, 2}, {64, 128, 1}, {128, 64, 3}, {128, 128, 2}, {128, 64, 2, 1}, {128, 64, 1, 2}};
  std::vector<Case> cases;
  for (const Tiles &tiles : every)
    cases.push_back(makeTiled(kernel, mixed, tiles));
  size_t next = 0;
  for (const Layout &l : layouts)
    for (int i = 0; i < 2; ++i)
      cases.push_back(makeTiled(kernel, l, every[next++ % std::size(every)]));
  return cases;
}

static std::vector<Case> mmaCases(const Kernel &kernel) {
  const Tiles every[] = {{64, 64, 1}, {128, 64, 2}, {64, 64, 2}, {128, 32, 1}, {64, 32, 3}};
  std::vector<Case> cases;
  for (const Tiles &tiles : every)
    cases.push_back(makeTiled(kernel, mixed, tiles));
  size_t next = 0;
  for (const Layout &l : layouts)
    for (int i = 0; i < 2; ++i)
      cases.push_back(makeTiled(kernel, l, every[next++ % std::size(every)]));
  // Heads whose rows are padded in shared memory: the smallest and odd numbers of 16; two tiles of padding at the front
  // and in the middle, between rows whose rings have wrapped.
  for (int D : {16, 48, 80, 112})
    cases.push_back(makeTiled(
        kernel, {4, 2, D, 70, 65, {{0, 0, 130}, {1, 141, 70}, {2, 0, 129}, {3, 300, 20}}, 3, {130, 2, 129, 0}},
        every[D / 16 % 4]));
  return cases;
}

std::vector<Case> attentionTileCases(const Kernel &kernel) {
  return kernel.engine->name == "wgmma" ? wgmmaCases(kernel) : mmaCases(kernel);
}

std::vector<Case> attentionManyCases() {
  const Kernel &kernel = *catalogue().kernel("attention_chunk", "wgmma");
  // 30 prompts, every third a second chunk; 12,000 tokens are 94 tiles of 128 queries or 188 of 64, for each head.
  Layout prompts = {4, 2, 128, 41, 40, {}, 0}; // a short window, for the sake of the reference
  for (int row = 0; row < 30; ++row)
    prompts.pieces.push_back({row, row % 3 == 2 ? 200 + row : 0, 300 + 200 * (row % 2)});
  return {makeTiled(kernel, prompts, {128, 128, 2, 132}), makeTiled(kernel, prompts, {64, 64, 2, 264})};
}

} // namespace nanotest
