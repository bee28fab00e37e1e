// Launches of every kernel family over odd shapes, with inputs: the unit tests hold the CPU references to formulas in
// double on them, the GPU tests hold the kernels to the CPU references.
#pragma once

#include "kernels_templates/base/catalogue.h"
#include "kernels_templates/base/catalogue.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace nanotest {

/// One launch. Buffers have exactly the size that the family's extents promise, so that a sanitizer sees any step
/// beyond.
struct Case {
  const kernels::Family *family;
  kernels::Params params;
  std::vector<kernels::Scalar> scalars;
  kernels::Limits limits;
  std::vector<kernels::ArgDecl> decls;         // of the buffers
  std::vector<kernels::DType> types;           // of the buffers
  std::vector<std::vector<std::byte>> buffers; // outputs hold 0xff: NaN, or id -1

  std::string label() const; // "linear bf16 f32 96 65 n=8"
  size_t elements(size_t buffer) const { return buffers[buffer].size() / sizeOf(types[buffer]); }
  /// Element i of buffer b as a number.
  double get(size_t b, size_t i) const;
  template <typename T> T *at(size_t b) { return reinterpret_cast<T *>(buffers[b].data()); }
  template <typename T> const T *at(size_t b) const { return reinterpret_cast<const T *>(buffers[b].data()); }
  /// The CPU reference on these buffers.
  void runCpu(kernels::HostMath &math);
};

/// Some tokens of one row of a batch: positions start, start + 1, ... Of older positions the ring holds the newest.
struct Piece {
  int row, start, count;
};

/// Sizes the buffers and fills the inputs: floats with noise of variance 1 (a different one for each buffer), ids with
/// ids below their limit and here and there -1.
Case makeCase(const char *family, std::vector<int64_t> params, std::vector<kernels::Scalar> scalars,
              const kernels::Limits &limits = {});

/// An attention or kv_write launch of `pieces` and then `padding` slots. Slots of the ring that hold no position that
/// the launch may read are NaN, so that one read too many shows.
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
Case makeSample(int V, int Vp, int rows, float cap, const SampleSettings &settings);

/// A request on its way: prompts of these lengths, prefilled up to `cursor` (a multiple of the chunk), or with `steps`
/// tokens emitted by every row. Every third row that has begun has ended.
struct GenerationMoment {
  std::vector<int> prompts, stopIds;
  int limit, cursor, steps;
  bool cancel;
};
/// Prompts and sampled tokens are ids below 50; row i samples 7 i mod 50.
Case makeFeed(const GenerationMoment &moment, int slots, int chunkRows, int batch, int positions, bool accept);
Case makeAdvance(const GenerationMoment &moment, int batch, int positions);
std::vector<Case> generationCases(std::string_view family);

/// Slots that hold no key of anybody are NaN throughout.
std::vector<Case> attentionPrefillCases();
std::vector<Case> attentionMmaCases();
/// Hundreds of items, for as many blocks as an H100 runs at once: too many for a sweep on a CPU.
std::vector<Case> attentionPrefillManyCases();

/// One token per slot; for the families with the value gate (_ve) as well. Slots of the ring as for makeAttention().
std::vector<Case> attentionDecodeCases(std::string_view family);
std::vector<Case> attentionBatchCases(std::string_view family);

/// For each of the wgemm families.
std::vector<Case> wgemmCases(std::string_view family);

/// The sweep of a family.
std::vector<Case> casesOf(std::string_view family);

} // namespace nanotest
