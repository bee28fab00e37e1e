#include "tests/emulator/products.h"

#include "tests/emulator/memory.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

namespace emulator {

float fromBf16(unsigned bits) { return std::bit_cast<float>((bits & 0xffff) << 16); }

unsigned toBf16(float x) {
  const unsigned bits = std::bit_cast<unsigned>(x);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return 0x7fff;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

namespace {

float half(unsigned word, unsigned i) { return fromBf16(i == 0 ? word : word >> 16); }

unsigned lane() { return self().index.x % 32; }

unsigned readHalf(unsigned address) {
  unsigned short x;
  std::memcpy(&x, sharedPlace(self().block, address, 2), 2);
  return x;
}

} // namespace

void mma(float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  const WarpValues &w = exchange("mma", {a[0], a[1], a[2], a[3], b0, b1});
  const unsigned g = lane() / 4, t = lane() % 4;
  float rows[2][16], columns[2][16];
  for (unsigned k = 0; k < 16; ++k)
    for (unsigned i = 0; i < 2; ++i) {
      rows[i][k] = half(w[g * 4 + k % 8 / 2][i + k / 8 * 2], k % 2);
      columns[i][k] = half(w[(t * 2 + i) * 4 + k % 8 / 2][4 + k / 8], k % 2);
    }
  for (unsigned i = 0; i < 4; ++i)
    for (unsigned k = 0; k < 16; ++k)
      sums[i] += rows[i / 2][k] * columns[i % 2][k];
}

void loadMatrices(unsigned (&m)[4], unsigned from, bool transposed) {
  if (from % 16 != 0)
    fault("ldmatrix from an address that is not a multiple of 16");
  const WarpValues &w = exchange("ldmatrix", {from});
  const unsigned g = lane() / 4, t = lane() % 4;
  for (unsigned j = 0; j < 4; ++j)
    m[j] = transposed ? readHalf(w[j * 8 + t * 2][0] + g * 2) | readHalf(w[j * 8 + t * 2 + 1][0] + g * 2) << 16
                      : readHalf(w[j * 8 + g][0] + t * 4) | readHalf(w[j * 8 + g][0] + t * 4 + 2) << 16;
  __asm__ volatile("" ::: "memory");
  exchange("ldmatrix", {}); // nobody overwrites before all have read
}

void storeMatrices(unsigned to, const unsigned (&m)[4]) {
  if (to % 16 != 0)
    fault("stmatrix to an address that is not a multiple of 16");
  const WarpValues &w = exchange("stmatrix", {to});
  const unsigned g = lane() / 4, t = lane() % 4;
  for (unsigned j = 0; j < 4; ++j)
    for (unsigned l = 0; l < 2; ++l) {
      const unsigned short x = static_cast<unsigned short>(m[j] >> l * 16);
      std::memcpy(sharedPlace(self().block, w[j * 8 + t * 2 + l][0] + g * 2, 2), &x, 2);
    }
}

unsigned transposeMatrix(unsigned m) {
  const WarpValues &w = exchange("movmatrix", {m});
  const unsigned g = lane() / 4, t = lane() % 4;
  auto element = [&](unsigned row, unsigned column) { return w[row * 4 + column / 2][0] >> column % 2 * 16 & 0xffff; };
  return element(t * 2, g) | element(t * 2 + 1, g) << 16;
}

namespace {

Warpgroup &warpgroupOf(const Thread &thread) { return thread.block.warpgroups[thread.index.x / 128]; }

/// A descriptor, by its bits.
struct Operand {
  unsigned start, leading, stride, rowBytes;

  explicit Operand(uint64_t bits)
      : start((bits & 0x3fff) << 4), leading((bits >> 16 & 0x3fff) << 4), stride((bits >> 32 & 0x3fff) << 4) {
    const unsigned mode = static_cast<unsigned>(bits >> 62);
    if (bits & 0x3fffc000c000c000)
      throw Fault("a matrix descriptor has bits that mean nothing here: " + std::to_string(bits));
    if (mode != 1 && mode != 2)
      throw Fault("a matrix descriptor has neither the 128-byte nor the 64-byte swizzle");
    rowBytes = mode == 1 ? 128 : 64;
  }
};

/// Rows 0 to count - 1 (of M or N) by 16 of k, as to[k * count + row].
void readOperand(const Block &block, uint64_t descriptor, unsigned count, bool transposed, float *to) {
  const Operand m(descriptor);
  auto eight = [&](unsigned address, unsigned short(&x)[8]) {
    std::memcpy(x, publishedPlace(block, swizzled(address, m.rowBytes), 16), 16);
  };
  unsigned short x[8];
  if (transposed) { // 8 neighbouring rows at a time
    const unsigned width = m.rowBytes / 2;
    for (unsigned k = 0; k < 16; ++k)
      for (unsigned row = 0; row < count; row += 8) {
        eight(m.start + row % width * 2 + row / width * m.leading + k % 8 * m.rowBytes + k / 8 * m.stride, x);
        for (unsigned i = 0; i < 8; ++i)
          to[k * count + row + i] = fromBf16(x[i]);
      }
  } else { // 8 neighbours of k
    for (unsigned row = 0; row < count; ++row)
      for (unsigned k = 0; k < 16; k += 8) {
        eight(m.start + row % 8 * m.rowBytes + row / 8 * m.stride + k * 2, x);
        for (unsigned i = 0; i < 8; ++i)
          to[(k + i) * count + row] = fromBf16(x[i]);
      }
  }
}

/// Rounds of one warpgroup.
class Execution {
public:
  Execution(Block &block, unsigned group) : block(block), group(group) {}

  void round() {
    const size_t count = thread(0).rounds.front().size();
    for (unsigned t = 1; t < 128; ++t)
      if (thread(t).rounds.front().size() != count)
        throw Fault("threads of a warpgroup disagree on the products of a round");
    for (size_t p = 0; p < count; ++p)
      product(p);
    put();
    for (unsigned t = 0; t < 128; ++t)
      thread(t).rounds.erase(thread(t).rounds.begin());
    ++block.warpgroups[group].executed;
  }

private:
  Thread &thread(unsigned t) { return *block.threads[group * 128 + t]; }
  const Product &of(unsigned t, size_t p) { return thread(t).rounds.front()[p]; }

  void product(size_t p) {
    const Product &first = of(0, p);
    const unsigned columns = static_cast<unsigned>(first.columns);
    for (unsigned t = 1; t < 128; ++t) {
      const Product &other = of(t, p);
      if (other.a != first.a || other.b != first.b || other.columns != first.columns || other.add != first.add ||
          other.accumulator != first.accumulator || other.transposed != first.transposed ||
          !other.fragments != !first.fragments)
        throw Fault("block " + std::to_string(block.index.x) + ": threads of a warpgroup disagree on a product");
    }
    if (first.accumulator != held) {
      put();
      get(first);
    }
    if (!first.add)
      std::fill(sums.begin(), sums.end(), 0.0f);
    a.resize(16 * 64);
    b.resize(16 * columns);
    readOperand(block, first.b, columns, first.transposed, b.data());
    if (first.fragments)
      gatherFragments(p);
    else
      readOperand(block, first.a, 64, false, a.data());
    for (unsigned m = 0; m < 64; ++m)
      for (unsigned k = 0; k < 16; ++k) {
        const float x = a[k * 64 + m];
        const float *from = &b[k * columns];
        float *to = &sums[m * columns];
        for (unsigned n = 0; n < columns; ++n)
          to[n] += x * from[n];
      }
  }
  void gatherFragments(size_t p) {
    for (unsigned t = 0; t < 128; ++t)
      for (unsigned part = 0; part < 4; ++part)
        for (unsigned l = 0; l < 2; ++l) {
          const unsigned row = t / 32 * 16 + t % 32 / 4 + part % 2 * 8, k = t % 4 * 2 + l + part / 2 * 8;
          a[k * 64 + row] = half(of(t, p).fragments[part], l);
        }
  }
  /// Calls f(sum, thread's register) for all sums of an accumulator.
  template <typename F> void each(F f) {
    const unsigned columns = static_cast<unsigned>(width);
    for (unsigned t = 0; t < 128; ++t) {
      float *registers = thread(t).accumulators[held].hidden.data();
      for (unsigned i = 0; i < columns / 2; ++i)
        f(sums[(t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8) * columns + i / 4 * 8 + t % 4 * 2 + i % 2], registers[i]);
    }
  }
  void get(const Product &product) {
    held = product.accumulator;
    width = product.columns;
    sums.resize(64 * width);
    each([](float &sum, float &mine) { sum = mine; });
  }
  void put() {
    if (held >= 0)
      each([](float &sum, float &mine) { mine = sum; });
    held = -1;
  }

  Block &block;
  unsigned group;
  int held = -1, width = 0;
  std::vector<float> sums, a, b;
};

} // namespace

void beginProducts() {
  exchange("wgmma.fence", {});
  self().fenced = true;
}

void multiply(float *sums, int count, uint64_t a, const unsigned *fragments, uint64_t b, bool add, bool transposed) {
  Thread &thread = self();
  if (!thread.fenced)
    fault("a product without beginProducts()");
  std::vector<Accumulator> &all = thread.accumulators;
  auto found = std::find_if(all.begin(), all.end(), [&](const Accumulator &x) { return x.sums == sums; });
  if (found == all.end()) {
    found = std::find_if(all.begin(), all.end(), [](const Accumulator &x) { return !x.sums; });
    if (found == all.end())
      found = all.insert(all.end(), Accumulator{});
    found->sums = sums;
    found->hidden.assign(sums, sums + count);
    std::fill_n(sums, count, std::numeric_limits<float>::quiet_NaN());
  }
  found->lastRound = thread.committed;
  thread.open.push_back({a, b, fragments, static_cast<int>(found - all.begin()), count * 2, add, transposed});
}

void endProducts() {
  exchange("wgmma.commit_group", {});
  Thread &thread = self();
  Warpgroup &warpgroup = warpgroupOf(thread);
  thread.fenced = false;
  thread.rounds.push_back(std::move(thread.open));
  thread.open.clear();
  ++thread.committed;
  const unsigned group = thread.index.x / 128;
  Block &block = thread.block;
  for (unsigned t = 0; t < 128; ++t)
    if (block.threads[group * 128 + t]->committed <= warpgroup.scheduled)
      return;
  ++warpgroup.scheduled;
  block.cluster.later("a round of products of warpgroup " + std::to_string(group),
                      [&block, group] { Execution(block, group).round(); });
}

void awaitProducts(unsigned rounds) {
  exchange("wgmma.wait_group", {});
  Thread &thread = self();
  Warpgroup &warpgroup = warpgroupOf(thread);
  const uint64_t until = thread.committed > rounds ? thread.committed - rounds : 0;
  waitUntil([&] { return warpgroup.executed >= until; },
            [&] {
              return "products, " + std::to_string(warpgroup.executed) + " of " + std::to_string(until) +
                     " rounds done";
            });
  for (Accumulator &x : thread.accumulators)
    if (x.sums && x.lastRound < until) {
      std::copy(x.hidden.begin(), x.hidden.end(), x.sums);
      x.sums = nullptr;
    }
}

} // namespace emulator
