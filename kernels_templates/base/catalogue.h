// Every kernel of this build: what the subjects' folders add, and look-ups by name.
#pragma once

#include "kernels_templates/base/kernel.h"

#include <deque>
#include <memory>
#include <span>

namespace kernels {

class Catalogue {
public:
  /// A meaning and the engines that compute it, in the order in which choices are offered.
  void add(Meaning meaning, std::initializer_list<const Engine *> engines);

  const Meaning *meaning(std::string_view name) const;
  /// Engine "": the reference. Null if there is no such pair.
  const Kernel *kernel(std::string_view meaning, std::string_view engine) const;
  /// Those with an engine.
  std::vector<const Kernel *> kernels(std::string_view meaning) const;
  const std::deque<Meaning> &allMeanings() const { return meanings; }
  const std::deque<Kernel> &allKernels() const { return entries; }

private:
  std::deque<Meaning> meanings;
  std::deque<Kernel> entries;
};

/// Made on first use, never changed.
const Catalogue &catalogue();

} // namespace kernels
