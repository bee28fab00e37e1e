// The device layer: what stands in for the headers of kernels_templates/device that hold PTX, function by function, on
// the emulator. In instead/ are files of their names, so that the others are included unchanged: a file with kernels
// includes this one and then their engine's header, in namespace device.
#pragma once

#include "kernels_templates/base/dtype.h"
#include "tests/emulator/language.h"
#include "tests/emulator/memory.h"
#include "tests/emulator/products.h"

namespace device {

/// The block's.
inline unsigned char *dynamicShared() {
  extern __shared__ unsigned char tiles[];
  return tiles;
}

// ---- types.cuh

struct bf16 {
  unsigned short bits;
};

inline float toFloat(float x) { return x; }
inline float toFloat(bf16 x) { return emulator::fromBf16(x.bits); }
struct e4m3 {
  unsigned char bits;
};
inline float toFloat(e4m3 x) { return kernels::toFloat(kernels::e4m3{x.bits}); }
inline uint2 widenE4m3(unsigned codes) {
  auto at = [&](int i) { return emulator::toBf16(toFloat(e4m3{static_cast<unsigned char>(codes >> 8 * i)})); };
  auto pair = [&](int i) { return at(i) | at(i + 1) << 16; };
  return make_uint2(pair(0), pair(2));
}
template <typename T> struct PointeeOf;
template <typename T> struct PointeeOf<const T *> { using Type = T; };
template <typename T> T fromFloat(float x);
template <> inline float fromFloat<float>(float x) { return x; }
template <> inline bf16 fromFloat<bf16>(float x) { return {static_cast<unsigned short>(emulator::toBf16(x))}; }
inline float infinity() { return __uint_as_float(0x7f800000u); }
inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// ---- launch.cuh

struct Grid {
  unsigned block, blocks;

  long long thread() const { return static_cast<long long>(block) * blockDim.x + threadIdx.x; }
  long long warp() const { return thread() / 32; }
};
inline void startConsumers() {}
inline void awaitProducers() { emulator::waitForProducers(); }
inline void waitForProducers() { awaitProducers(); }

// ---- mbarrier.cuh, copy.cuh, cluster.cuh

using Barrier = unsigned long long;
struct TensorMap {
  const emulator::TileMap *map;
};

using emulator::sharedAddress;
inline void initBarrier(Barrier *barrier, int arrivals) { emulator::initBarrier(barrier, arrivals); }
inline void publishBarriers() { emulator::publishBarriers(); }
inline void arrive(Barrier *barrier) { emulator::arrive(barrier); }
inline void await(Barrier *barrier, unsigned parity) { emulator::await(barrier, parity); }

constexpr int copyArrivals = 1;
inline void beginCopies(Barrier *barrier, int bytes) {
  if (threadIdx.x % 32 == 0)
    emulator::arriveExpect(barrier, bytes);
  __syncwarp();
}
inline void endCopies(Barrier *) {}
inline void copyRows(void *to, int pitch, const void *from, long long stride, int rows, int bytes, Barrier *barrier) {
  const int lane = threadIdx.x % 32;
  if (lane < rows)
    emulator::copyBulk(sharedAddress(to) + lane * pitch, static_cast<const char *>(from) + lane * stride, bytes,
                       barrier);
}
inline void copyRow(void *to, const void *from, int bytes, Barrier *barrier) {
  if (bytes > 0)
    emulator::copyBulk(sharedAddress(to), from, bytes, barrier);
}

inline void commitCopies() { emulator::commitCopies(); }
template <int groups> void waitForCopies() { emulator::waitForCopies(groups); }

template <int threads> void groupBarrier(int id) { emulator::namedBarrier(id, threads, true); }
template <int threads> void passBarrier(int id) { emulator::namedBarrier(id, threads, false); }

inline int clusterRank() { return static_cast<int>(emulator::self().block.rank); }
template <int blocks> void clusterArrive() {
  if (blocks > 1)
    emulator::arriveAtCluster();
}
template <int blocks> void clusterWait() {
  if (blocks > 1)
    emulator::waitForCluster();
}
template <int blocks> void expectStores(Barrier *barrier, int bytes) {
  if (blocks > 1)
    emulator::arriveExpect(barrier, bytes);
}
template <int blocks> void awaitStores(Barrier *barrier) {
  if (blocks > 1)
    await(barrier, 0);
  else
    __syncthreads();
}
inline unsigned clusterAddress(const void *p, int rank) { return emulator::clusterAddress(p, rank); }
template <int blocks> void clusterStore(float *p, int rank, float x, Barrier *barrier) {
  if (blocks > 1)
    emulator::storeLater(clusterAddress(p, rank), &x, 1, clusterAddress(barrier, rank));
  else
    *p = x;
}

inline void copyOrZero(unsigned to, const void *from, bool inside) { emulator::copyAsync(to, from, inside); }

// ---- order.cuh

inline unsigned takeTicket(unsigned *counter) {
  emulator::pause();
  return (*counter)++;
}
inline unsigned takeNumber(unsigned *counter) { return takeTicket(counter); }
inline int loadFromHost(const int *p) { return *p; }
inline void storeToHost(int *p, int word) { *p = word; }

// ---- mma.cuh

inline unsigned packBf16(float low, float high) { return emulator::toBf16(low) | emulator::toBf16(high) << 16; }
inline float exp2Fast(float x) { return std::exp2(x); }
inline void mmaBf16(float (&sums)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  emulator::mma(sums, a, b0, b1);
}
inline void loadMatrices(unsigned (&m)[4], unsigned from) { emulator::loadMatrices(m, from, false); }
inline void loadTransposed(unsigned (&m)[4], unsigned from) { emulator::loadMatrices(m, from, true); }
inline unsigned transposeMatrix(unsigned m) { return emulator::transposeMatrix(m); }

#include "kernels_templates/device/matrix.cuh"

// ---- wgmma.cuh

inline void arriveExpect(Barrier *barrier, int bytes) { emulator::arriveExpect(barrier, bytes); }
inline void arriveAt(Barrier *barrier, int rank) { emulator::arriveLater(clusterAddress(barrier, rank)); }
inline void clusterStore4(unsigned to, const float *x, unsigned barrier) { emulator::storeLater(to, x, 4, barrier); }
inline void publishToAsync() { emulator::publishToAsync(); }
inline void storeTransposed(unsigned to, const unsigned (&m)[4]) { emulator::storeMatrices(to, m); }

inline void prefetchMap(const TensorMap *) {}
template <typename... C> void copyTile(void *to, const TensorMap *map, Barrier *barrier, C... place) {
  emulator::copyTile(to, *map->map, barrier, {place...});
}
inline void copyTileOnce(void *to, const TensorMap *map, Barrier *barrier, int c0, int c1) {
  emulator::copyTile(to, *map->map, barrier, {c0, c1});
}
inline void copyTileToAll(void *to, const TensorMap *map, Barrier *barrier, int c0, int c1, unsigned short blocks) {
  emulator::copyTile(to, *map->map, barrier, {c0, c1}, blocks);
}

// A warp's registers are not counted.
template <int registers> void growRegisters() { emulator::exchange("setmaxnreg", {}); }
template <int registers> void shrinkRegisters() { emulator::exchange("setmaxnreg", {}); }

template <int = 0> void beginProducts() { emulator::beginProducts(); }
template <int = 0> void endProducts() { emulator::endProducts(); }
template <int rounds> void awaitProducts() { emulator::awaitProducts(rounds); }
template <int count> void defineSums(float (&)[count]) {}
template <int count> void pinSums(float (&)[count]) {}
template <bool transposed = false, int count> void multiplyBf16(float (&d)[count], Matrix a, Matrix b, bool add) {
  emulator::multiply(d, count, a, nullptr, b, add, transposed);
}
template <bool transposed = false, int count>
void multiplyBf16(float (&d)[count], const unsigned (&a)[4], Matrix b, bool add) {
  emulator::multiply(d, count, 0, a, b, add, transposed);
}

template <typename T> struct WgmmaFormat;
template <> struct WgmmaFormat<bf16> {
  static constexpr int k = 16;
  template <int count> static void multiply(float (&d)[count], Matrix a, Matrix b, bool add) {
    multiplyBf16(d, a, b, add);
  }
};

} // namespace device
