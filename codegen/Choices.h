// Which engines can serve a launch, by which parameters, and how long each should take.
#pragma once

#include "kernels_templates/base/catalogue.h"
#include "kernels_templates/base/predict.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace codegen {

/// What a choice does not decide: a meaning, its parameters, and a launch's integer scalars, as far as they matter to
/// its shape and cost (others count as 0); of attentions also `rows`, that the tokens are of at most.
struct Problem {
  std::string meaning;
  kernels::Values values;

  /// "product_mix T=bf16 O=bf16 K=3072 N=768 norm=0 n=8": the same text on every machine and run, without what changes
  /// no launch.
  std::string text() const;
  auto operator<=>(const Problem &) const = default;
};

/// An engine and how it spreads the work: the parameters that change no result. Without an engine: the CPU reference.
struct Choice {
  std::string engine;
  kernels::Values params = {};
  /// "mma tile_m=64 tile_n=128"
  std::string text() const;
};

/// The launch that a choice makes of a problem; nullopt if there is no such engine, it is for another target, it lacks
/// a parameter or has none of a name, or its constraint is violated: `why` then says so.
struct Instance {
  const kernels::Kernel *kernel;
  kernels::Values params; // the kernel's
  kernels::Values launch; // and a launch's scalars

  kernels::LaunchShape shape() const { return kernel->shape(launch); }
};
std::optional<Instance> instanceOf(const Problem &problem, const Choice &choice, std::string_view target,
                                   std::string &why);

/// Every choice that is worth a thought on the target, none of which instanceOf refuses. For `cpu` the reference alone.
std::vector<Choice> choicesFor(const Problem &problem, std::string_view target);

/// cuBLASLt as an engine of products into which nothing is fused.
inline constexpr std::string_view library = "cublaslt";
/// Whether it can serve the problem.
bool servedByLibrary(const Problem &problem);
/// So many of its algorithms are candidates, as its heuristic ranks them.
inline constexpr uint32_t libraryAlgorithms = 8;
/// The roofline, without early starts: what a library does is not known.
double predictLibraryUs(const kernels::Target &device, const Problem &problem);

/// The roofline, and where the engine predicts its own time that; the launch starts early where it can, or as `early`
/// says.
kernels::Prediction predict(const kernels::Target &device, const Instance &instance,
                            std::optional<bool> early = std::nullopt);

} // namespace codegen
