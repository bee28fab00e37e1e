// The ring: what attention reads after kv_write has written it.
#include "runtime/executor/host_math.h"
#include "tests/unit/kernel_cases.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace {

using kernels::DType;
using nanotest::Case;
using nanotest::Piece;

/// Sequences of several rows, fed to attention and kv_write in chunks as an executor would.
class Ring {
public:
  Ring(int heads, int kvHeads, int D, int ring, int window, std::vector<int> lengths)
      : heads(heads), kvHeads(kvHeads), D(D), ring(ring), window(window), lengths(std::move(lengths)),
        out(this->lengths.size()) {
    const int rows = static_cast<int>(this->lengths.size());
    kv.assign(size_t{2} * rows * kvHeads * ring * D, std::numeric_limits<float>::quiet_NaN());
    for (int row = 0; row < rows; ++row)
      out[row].resize(static_cast<size_t>(this->lengths[row]) * heads * D);
  }

  /// Attention of one chunk, then its write into the ring.
  void feed(const std::vector<Piece> &pieces, int padding = 0) {
    Case attention = nanotest::makeAttention(DType::F32, heads, kvHeads, D, ring, window, pieces, padding);
    Case write = nanotest::makeKvWrite(DType::F32, kvHeads, D, ring, pieces, padding);
    size_t slot = 0;
    for (const Piece &piece : pieces)
      for (int i = 0; i < piece.count; ++i, ++slot) {
        fill(attention.at<float>(0) + slot * heads * D, heads * D, piece.row, piece.start + i, 0);
        for (int part : {0, 1}) {
          float *head = attention.at<float>(1 + part) + slot * kvHeads * D;
          fill(head, kvHeads * D, piece.row, piece.start + i, 1 + part);
          std::memcpy(write.at<float>(part) + slot * kvHeads * D, head, kvHeads * D * sizeof(float));
        }
      }
    // A chunk need not hold every row: the buffers of this chunk cover rows up to its largest.
    const size_t bytes = attention.buffers[3].size();
    std::memcpy(attention.buffers[3].data(), kv.data(), bytes);
    attention.runCpu(*math);
    std::memcpy(write.buffers[5].data(), kv.data(), bytes);
    write.runCpu(*math);
    std::memcpy(kv.data(), write.buffers[5].data(), bytes);
    slot = 0;
    for (const Piece &piece : pieces) {
      std::memcpy(out[piece.row].data() + static_cast<size_t>(piece.start) * heads * D,
                  attention.at<float>(7) + slot * heads * D, size_t{4} * piece.count * heads * D);
      slot += piece.count;
    }
  }

  const int heads, kvHeads, D, ring, window;
  const std::vector<int> lengths;
  std::vector<std::vector<float>> out; // of every row, in order of position
  std::vector<float> kv;

private:
  /// The same numbers for one position, whatever chunk it comes in.
  static void fill(float *p, int count, int row, int position, int what) {
    for (int i = 0; i < count; ++i)
      p[i] = static_cast<float>(std::sin(1.0 + i * 0.7 + position * 1.3 + row * 5.1 + what * 2.9));
  }

  std::unique_ptr<kernels::HostMath> math = nanort::makeHostMath(2);
};

/// One row of `length` positions in chunks of `chunk`. The reference adds in order of position wherever a key comes
/// from, so the results are the same to the last bit.
std::vector<float> inChunks(int length, int chunk, int ring, int window) {
  Ring cache(4, 2, 16, ring, window, {length});
  for (int start = 0; start < length; start += chunk)
    cache.feed({{0, start, std::min(chunk, length - start)}}, chunk % 3);
  return cache.out[0];
}

TEST(Attention, ChunksDoNotChangeTheResult) {
  for (int window : {0, 1, 7, 8, 30, 1000})
    for (int extra : {0, 1, 5}) {
      const int length = 41, ring = std::min(window + 1, length) + extra;
      const std::vector<float> whole = inChunks(length, length, ring, window);
      for (int chunk : {1, 2, window + 1, window + 2, 13, 40})
        ASSERT_EQ(inChunks(length, chunk, ring, window), whole)
            << "window " << window << ", ring " << ring << ", chunk " << chunk;
    }
}

TEST(Attention, RaggedRowsAreIndependent) {
  Ring together(4, 2, 16, 6, 5, {20, 9, 14});
  together.feed({{2, 0, 3}, {0, 0, 11}, {1, 0, 1}}, 4);
  together.feed({{0, 11, 1}, {1, 1, 1}, {2, 3, 1}});
  together.feed({{1, 2, 7}, {2, 4, 10}});
  together.feed({{0, 12, 8}}, 1);
  for (int row = 0; row < 3; ++row) {
    Ring alone(4, 2, 16, 6, 5, {20, 9, 14});
    alone.feed({{row, 0, alone.lengths[row]}});
    EXPECT_EQ(alone.out[row], together.out[row]) << "row " << row;
  }
}

TEST(Attention, WindowCountsThePositionsBeforeThisOne) {
  // With equal keys the result is the mean of the visible values: v = position gives their middle.
  for (int window : {0, 1, 7, 8}) {
    const int length = 12;
    Case c = nanotest::makeAttention(DType::F32, 1, 1, 4, length, window, {{0, 0, length}});
    std::fill_n(c.at<float>(1), c.elements(1), 1.0f);
    for (size_t i = 0; i < c.elements(2); ++i)
      c.at<float>(2)[i] = static_cast<float>(i / 4);
    c.runCpu(*nanort::makeHostMath(1));
    for (int p = 0; p < length; ++p)
      EXPECT_NEAR(c.get(7, p * 4), (std::max(0, p - window) + p) / 2.0, 1e-5) // means of at most 12 small integers
          << "window " << window << ", position " << p;
  }
}

TEST(KvWrite, HoldsTheNewestPositionsAndNothingElse) {
  for (Case &c : nanotest::casesOf(*kernels::catalogue().kernel("kv_write", ""))) {
    const Case before = c;
    c.runCpu(*nanort::makeHostMath(2));
    const int64_t heads = c.params["kv_heads"], D = c.params["D"], ring = c.params["ring"], n = c.scalars[0].i;
    Case want = before;
    const auto *rows = c.at<int>(2), *positions = c.at<int>(3), *ends = c.at<int>(4);
    const size_t bytes = sizeOf(c.types[5]);
    for (int64_t t = 0; t < n; ++t) // in order: a newer position overwrites an older one
      for (int64_t i = 0; rows[t] >= 0 && i < 2 * heads * D; ++i) {
        const int64_t part = i / (heads * D), g = i / D % heads, d = i % D;
        ASSERT_LT(positions[t], ends[rows[t]]);
        std::memcpy(want.buffers[5].data() +
                        ((((rows[t] * 2 + part) * heads + g) * ring + positions[t] % ring) * D + d) * bytes,
                    before.buffers[part].data() + ((t * heads + g) * D + d) * bytes, bytes);
      }
    EXPECT_EQ(c.buffers, want.buffers) << c.label();
  }
}

/// What the fused reference does in one step, by the references of the meanings it replaces. Intermediate results in
/// bf16 round where the fused ones do not.
class AttentionStep : public testing::TestWithParam<const kernels::Kernel *> {};

TEST_P(AttentionStep, EqualsTheMeaningsItFuses) {
  auto math = nanort::makeHostMath(2);
  for (Case &c : nanotest::casesOf(*GetParam())) {
    const bool gated = c.kernel->meaning.name == "attention_step_gate";
    const int64_t heads = c.params["heads"], G = c.params["kv_heads"], D = c.params["D"], n = c.scalars[3].i;
    const int64_t T = c.params["T"];
    const size_t size = sizeOf(c.types[0]), y = c.kernel->indexOf("y");
    std::vector<nanotest::Piece> pieces;
    int padding = 0;
    // Slots in the order of makeAttention: padding last.
    std::vector<size_t> slots, last;
    for (int64_t t = 0; t < n; ++t) {
      if (c.at<int>(2)[t] < 0) {
        last.push_back(t);
        ++padding;
        continue;
      }
      slots.push_back(t);
      pieces.push_back({c.at<int>(2)[t], c.at<int>(3)[t], 1});
    }
    slots.insert(slots.end(), last.begin(), last.end());
    const int ring = static_cast<int>(c.params["ring"]);
    Case attention = nanotest::makeAttention(static_cast<DType>(T), heads, G, D, ring, c.scalars[1].i, pieces, padding);
    Case write = nanotest::makeKvWrite(static_cast<DType>(T), G, D, ring, pieces, padding);
    auto headsOf = [&](int64_t first, int64_t count) { // of every slot, from qkv
      std::vector<std::byte> out(n * count * D * size);
      for (int64_t t = 0; t < n; ++t)
        std::memcpy(out.data() + t * count * D * size,
                    c.buffers[0].data() + (slots[t] * (heads + 2 * G) + first) * D * size, count * D * size);
      return out;
    };
    auto position = [&](int64_t first, int64_t count) {
      const auto count32 = static_cast<int32_t>(n);
      const kernels::Limits limits{.positions = c.elements(1) / D};
      Case rope = nanotest::makeCase("rope", {{"T", T}, {"P", c.params["P"]}, {"heads", count}, {"D", D}},
                                     {{.i = count32}}, limits);
      rope.buffers[0] = headsOf(first, count);
      rope.buffers[1] = c.buffers[1];
      for (int64_t t = 0; t < n; ++t)
        rope.at<int>(2)[t] = c.at<int>(3)[slots[t]];
      rope.runCpu(*math);
      Case norm = nanotest::makeCase("rms_norm", {{"T", T}, {"width", D}}, {{.i = static_cast<int32_t>(n * count)}});
      norm.buffers[0] = rope.buffers[3];
      norm.runCpu(*math);
      Case scale = nanotest::makeCase("scale", {{"T", T}}, {c.scalars[0], {.i = static_cast<int32_t>(n * count * D)}});
      scale.buffers[0] = norm.buffers[1];
      scale.runCpu(*math);
      return scale.buffers[1];
    };
    attention.buffers[0] = position(0, heads);
    attention.buffers[1] = write.buffers[0] = position(heads, G);
    std::vector<std::byte> v = headsOf(heads + G, G);
    if (gated) {
      const int64_t C = c.params["C"];
      Case norm = nanotest::makeCase("rms_norm", {{"T", T}, {"width", C}}, {{.i = static_cast<int32_t>(n)}});
      norm.buffers[0] = c.buffers[c.kernel->indexOf("x")];
      norm.runCpu(*math);
      Case gate = nanotest::makeCase(
          "value_gate", {{"T", T}, {"heads", G}, {"D", D}, {"C", C}, {"channels", c.params["channels"]}},
          {c.scalars[4], {.i = static_cast<int32_t>(n)}}, {.vocab = c.elements(c.kernel->indexOf("embeds")) / G / D});
      gate.buffers[0] = v;
      for (int64_t t = 0; t < n; ++t) {
        std::memcpy(gate.buffers[1].data() + t * C * size, norm.buffers[1].data() + slots[t] * C * size, C * size);
        gate.at<int>(2)[t] = c.at<int>("tokens")[slots[t]];
      }
      gate.buffers[3] = c.buffers[c.kernel->indexOf("embeds")];
      gate.buffers[4] = c.buffers[c.kernel->indexOf("gate")];
      gate.runCpu(*math);
      v = gate.buffers[5];
    }
    attention.buffers[2] = write.buffers[1] = v;
    attention.buffers[3] = write.buffers[5] = c.buffers[4];
    attention.runCpu(*math);
    write.runCpu(*math);
    c.runCpu(*math);

    const double bound = 3 * c.kernel->tolerance(c.params);
    auto compare = [&](size_t b, size_t i, const Case &other, size_t otherB, size_t otherI, double largest) {
      const double x = c.get(b, i), want = other.get(otherB, otherI);
      if (!std::isnan(x) || !std::isnan(want)) {
        ASSERT_LE(std::abs(x - want), bound * largest) << c.label() << " buffer " << b << " element " << i;
      }
    };
    for (size_t i = 0; i < c.elements(4); ++i)
      compare(4, i, write, 5, i, 4); // noise of variance 1, and gated values
    for (int64_t t = 0; t < n; ++t)
      for (int64_t i = 0; i < heads * D; ++i)
        compare(y, slots[t] * heads * D + i, attention, 7, t * heads * D + i, 4);
  }
}

std::vector<const kernels::Kernel *> steps() {
  std::vector<const kernels::Kernel *> all;
  for (const char *meaning : {"attention_step", "attention_step_gate"})
    for (const kernels::Kernel *kernel : kernels::catalogue().kernels(meaning))
      all.push_back(kernel);
  return all;
}
INSTANTIATE_TEST_SUITE_P(All, AttentionStep, testing::ValuesIn(steps()),
                         [](const testing::TestParamInfo<const kernels::Kernel *> &info) {
                           return info.param->meaning.name + "_" + std::string(info.param->engine->name);
                         });

} // namespace
