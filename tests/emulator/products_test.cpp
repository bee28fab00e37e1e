// The emulator itself: rounds of matrix products.
#include "tests/emulator/small_kernels.h"

namespace device {
namespace {

/// One round of a warpgroup: sums[64, 8] = a[64, 64] b[8, 64]^T of bf16 out of swizzled tiles.
enum class Misuse { None, Fragments, NotPublished, NoFence, NoWait, ReadsSums, OverwritesOperand, OverwritesFragments };
struct Outcome {
  std::vector<std::string> faults;
  int wrong = 0;
};
Outcome multiplyOnce(Misuse misuse) {
  auto a = [](int row, int k) { return static_cast<float>((row * 7 + k * 3) % 11 - 5); };
  auto b = [](int row, int k) { return static_cast<float>((row * 5 + k) % 7 - 3); };
  Outcome outcome;
  outcome.faults = runs(launchOf(128), [&] {
    Shared &shared = sharedOf();
    auto put = [&](unsigned char *tile, int row, int k, float x) {
      reinterpret_cast<bf16 *>(tile + row * 128 + (k / 8 ^ row % 8) * 16)[k % 8] = fromFloat<bf16>(x);
    };
    for (int i = threadIdx.x; i < 64 * 64; i += 128) {
      put(shared.tiles[0], i / 64, i % 64, a(i / 64, i % 64));
      if (i / 64 < 8)
        put(shared.tiles[1], i / 64, i % 64, b(i / 64, i % 64));
    }
    if (misuse != Misuse::NotPublished)
      publishToAsync();
    __syncthreads();
    const int g = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    const bool fragments = misuse == Misuse::Fragments || misuse == Misuse::OverwritesFragments;
    unsigned own[4][4];
    for (int k = 0; k < 4; ++k)
      for (int part = 0; part < 4; ++part) {
        const int row = g + part % 2 * 8, column = k * 16 + part / 2 * 8 + t * 2;
        own[k][part] = packBf16(a(row, column), a(row, column + 1));
      }
    float sums[4] = {1, 1, 1, 1}, early = 0;
    if (misuse != Misuse::NoFence)
      beginProducts();
    for (int k = 0; k < 4; ++k)
      if (fragments)
        multiplyBf16(sums, own[k], alongK<bf16>(matrixOf(shared.tiles[1]), k * 16), k > 0);
      else
        multiplyBf16(sums, alongK<bf16>(matrixOf(shared.tiles[0]), k * 16),
                     alongK<bf16>(matrixOf(shared.tiles[1]), k * 16), k > 0);
    endProducts();
    if (misuse == Misuse::OverwritesOperand) {
      put(shared.tiles[1], threadIdx.x % 8, threadIdx.x / 8, 100);
      publishToAsync();
    }
    if (misuse == Misuse::OverwritesFragments)
      own[0][0] = 0x42c842c8;
    emulator::pause();
    if (misuse == Misuse::ReadsSums)
      early = sums[0] * 0;
    if (misuse != Misuse::NoWait)
      awaitProducts<0>();
    for (int i = 0; i < 4; ++i) {
      float sum = 0;
      for (int k = 0; k < 64; ++k)
        sum += a(g + i / 2 * 8, k) * b(t * 2 + i % 2, k);
      outcome.wrong += !(sums[i] + early == sum);
    }
    if (misuse == Misuse::NoWait)
      awaitProducts<0>();
  });
  return outcome;
}

TEST(Products, MisuseShows) {
  for (Misuse allowed : {Misuse::None, Misuse::Fragments}) {
    const Outcome outcome = multiplyOnce(allowed);
    EXPECT_THAT(outcome.faults, right);
    EXPECT_EQ(outcome.wrong, 0);
  }
  EXPECT_THAT(multiplyOnce(Misuse::NoFence).faults, allSay("a product without beginProducts()"));
  for (Misuse misuse : {Misuse::NotPublished, Misuse::NoWait, Misuse::ReadsSums, Misuse::OverwritesOperand,
                        Misuse::OverwritesFragments})
    EXPECT_GT(multiplyOnce(misuse).wrong, 0) << static_cast<int>(misuse);
}

TEST(Products, DescriptorsAreRead) {
  auto with = [](Matrix b) {
    return runs(launchOf(128), [=] {
      float sums[4] = {};
      beginProducts();
      multiplyBf16(sums, matrixOf(sharedOf().tiles[0]), b, false);
      endProducts();
      awaitProducts<0>();
    });
  };
  EXPECT_THAT(with(1024 / 16 | 1ull << 62 | 64ull << 32), right);
  EXPECT_THAT(with(1024 / 16 | 3ull << 62), allSay("neither the 128-byte nor the 64-byte swizzle"));
  EXPECT_THAT(with(1024 / 16 | 1ull << 62 | 1ull << 49), allSay("bits that mean nothing"));
  EXPECT_THAT(with(0x3000 | 1ull << 62 | 64ull << 32), allSay("is not within"));
}

} // namespace
} // namespace device
