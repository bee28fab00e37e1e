// Launches of every kernel over odd shapes, with inputs: the unit tests hold the CPU references to formulas in
// double on them, the GPU tests hold the kernels to the CPU references.
#pragma once

#include "kernels_templates/base/catalogue.h"
#include "kernels_templates/base/host_math.h"

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

namespace kernels {
/// In the names of tests, which would be those of addresses.
inline void PrintTo(const Kernel *kernel, std::ostream *out) { *out << kernel->text(); }
} // namespace kernels

namespace nanotest {

/// One launch. Buffers have exactly the size that the arguments' shapes promise, so that a sanitizer sees any step
/// beyond.
struct Case {
  const kernels::Kernel *kernel;
  kernels::Values params;
  std::vector<kernels::Scalar> scalars;
  kernels::Limits limits;
  std::vector<kernels::DType> types;           // of the buffers
  std::vector<std::vector<std::byte>> buffers; // in the order of the kernel's; outputs hold 0xff: NaN, or id -1

  std::string label() const; // "product by mma bf16 f32 96 65 0 32 32 n=8"
  const kernels::Arg &arg(size_t buffer) const { return kernel->args[buffer]; }
  kernels::Values launch() const { return kernel->launch(params, scalars); }
  size_t elements(size_t buffer) const { return buffers[buffer].size() / sizeOf(types[buffer]); }
  /// Element i of buffer b as a number.
  double get(size_t b, size_t i) const;
  template <typename T> T *at(size_t b) { return reinterpret_cast<T *>(buffers[b].data()); }
  template <typename T> const T *at(size_t b) const { return reinterpret_cast<const T *>(buffers[b].data()); }
  template <typename T> T *at(std::string_view arg) { return at<T>(kernel->indexOf(arg)); }
  /// The CPU reference on these buffers.
  void runCpu(kernels::HostMath &math);
};

/// Some tokens of one row of a batch: positions start, start + 1, ... Of older positions the ring holds the newest.
struct Piece {
  int row, start, count;
};

/// Sizes the buffers and fills the inputs: floats with noise of variance 1 (a different one for each buffer), ids with
/// ids below their limit and here and there -1.
Case makeCase(const kernels::Kernel &kernel, const kernels::Values &params, std::vector<kernels::Scalar> scalars,
              const kernels::Limits &limits = {});
/// The reference of a meaning.
Case makeCase(std::string_view meaning, const kernels::Values &params, std::vector<kernels::Scalar> scalars,
              const kernels::Limits &limits = {});

/// A DType as the value of a parameter.
constexpr int64_t valueOf(kernels::DType type) { return static_cast<int64_t>(type); }

/// An attention_chunk or kv_write launch of `pieces` and then `padding` slots. Slots of the ring that hold no position
/// that the launch may read are NaN, so that one read too many shows.
Case makeAttention(kernels::DType type, int heads, int kvHeads, int D, int ring, int window,
                   const std::vector<Piece> &pieces, int padding = 0);
Case makeKvWrite(kernels::DType type, int kvHeads, int D, int ring, const std::vector<Piece> &pieces, int padding = 0);

/// How a sample launch chooses.
struct SampleSettings {
  float temperature = 0;
  int topK = 0;
  uint64_t seed = 42;
  uint32_t rowBase = 0;
};
/// Logits with many ties (multiples of 1/8), a NaN and an infinity in the second row, nothing but NaN in the third, of
/// six rows or more ascending ones in the fourth and descending ones in the fifth; the last row has index -1 if there
/// are more than one.
Case makeSample(const kernels::Kernel &kernel, int V, int Vp, int rows, float cap, const SampleSettings &settings);
Case makeSample(int V, int Vp, int rows, float cap, const SampleSettings &settings); // the reference

/// A request on its way: prompts of these lengths, prefilled up to `cursor` (a multiple of the chunk), or with `steps`
/// tokens emitted by every row. Every third row that has begun has ended.
struct GenerationMoment {
  std::vector<int> prompts, stopIds;
  int limit, cursor, steps;
  bool cancel;
};
/// Prompts and sampled tokens are ids below 50; row i samples 7 i mod 50.
Case makeFeed(const kernels::Kernel &kernel, const GenerationMoment &moment, int slots, int chunkRows, int batch,
              int positions, bool accept);
Case makeAdvance(const kernels::Kernel &kernel, const GenerationMoment &moment, int batch, int positions);
std::vector<Case> generationCases(const kernels::Kernel &kernel);

/// By wgmma and mma: slots that hold no key of anybody are NaN throughout.
std::vector<Case> attentionTileCases(const kernels::Kernel &kernel);
/// Hundreds of items, for as many blocks as an H100 runs at once: too many for a sweep on a CPU.
std::vector<Case> attentionManyCases();

/// One token per slot, with the value gate and without. Slots of the ring as for makeAttention().
std::vector<Case> attentionStepCases(const kernels::Kernel &kernel);

std::vector<Case> productWgmmaCases(const kernels::Kernel &kernel);

/// The sweep of a kernel.
std::vector<Case> casesOf(const kernels::Kernel &kernel);

} // namespace nanotest
