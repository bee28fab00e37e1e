// Which kernels can serve a matrix product or an attention, and how long each should take.
#pragma once

#include "codegen/DeviceModel.h"
#include "kernels_templates/common/family.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace codegen {

/// y[rows, columns] = epilogue(x[rows, depth] w[columns, depth]^T).
struct Product {
  std::string epilogue; // what a family's name has behind its stem: "", "_add", "_mix", "_mix_sum", "_backout"
  kernels::DType in, out;
  int64_t rows, columns, depth;
  bool norm = false, relu2 = false;
};

/// Of `tokens` slots over a ring of older positions and the chunk itself.
struct Attention {
  kernels::DType in;
  int64_t tokens, heads, kvHeads, dim, ring, window;
  int64_t rows = 1; // that the tokens are of, at most
};

/// Of one token per slot, from what the product of q, k and v makes up to the ring.
struct DecodeAttention {
  kernels::DType in, table;
  int64_t tokens, heads, kvHeads, dim, ring, window;
  int64_t width = 0, channels = 0; // of the value gate's input and of what it reads of it; 0: no gate
};

/// What a choice does not decide: all parameters but those that spread the work, and scalars where they matter to a
/// launch's shape and cost (others count as 0).
struct Problem {
  std::string suffix; // of a family's name, behind the choice's stem
  std::vector<std::pair<std::string_view, int64_t>> params, scalars;

  auto operator<=>(const Problem &) const = default;
};
Problem problemOf(const Product &product);
Problem problemOf(const DecodeAttention &attention);
Problem problemOf(const Attention &attention);

/// A family by its stem ("gemv", "gemm", "wgemm") and how it spreads the work: the parameters that change no result.
struct Choice {
  std::string stem;
  std::vector<std::pair<std::string, int64_t>> tuning;
  /// "gemm tile_m=64 tile_n=128"
  std::string text() const;
};

/// The launch that a choice makes of a problem; nullopt if there is no such family, it is for another target, it lacks
/// a tuning parameter or has none of a name, or its constraint is violated: `why` then says so.
struct Instance {
  const kernels::Family *family;
  kernels::Params params;
  std::vector<kernels::Scalar> scalars;
};
std::optional<Instance> instanceOf(const Problem &problem, const Choice &choice, std::string_view target,
                                   std::string &why);

/// A product into which nothing is fused, which a library can serve too.
bool isPlain(const Product &product);
/// So many of its algorithms are candidates, as its heuristic ranks them.
inline constexpr uint32_t libraryAlgorithms = 8;
/// What tuning files call a plain product by cuBLASLt: "linear_bf16_bf16_768_2304 by cublaslt 13.1.0 algorithm 2".
/// Algorithms are those of a version: none is taken without it.
std::string libraryKernelPrefix(const Product &product); // up to the version
std::string libraryKernelName(const Product &product, std::string_view version, uint32_t algorithm);
/// The roofline, without early starts: what a library does is not known.
double predictLibraryUs(const DeviceModel &device, const Product &product);

/// Every choice that is worth a thought on the target, none of which instanceOf refuses.
std::vector<Choice> choicesFor(const Product &product, std::string_view target);
std::vector<Choice> choicesFor(const Attention &attention, std::string_view target);
std::vector<Choice> choicesFor(const DecodeAttention &attention, std::string_view target);

/// Microseconds: the larger of the launch's roofline and what its tiles take on as many SMs as there are, where a step
/// of a block is bounded by its multiplications or by its operands' way from L2.
double predictUs(const DeviceModel &device, const Instance &instance);
/// The second of them; nullopt of a family whose tiles the model does not know. The launch starts early where it can,
/// or as `early` says.
std::optional<double> predictTilesUs(const DeviceModel &device, const Instance &instance,
                                     std::optional<bool> early = std::nullopt);

} // namespace codegen
