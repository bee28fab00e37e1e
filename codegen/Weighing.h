// Which of the choices for a problem wins, and why.
#pragma once

#include "codegen/Choices.h"

#include <functional>

namespace codegen {

/// A choice, what it should take, and on whose word.
struct Weighed {
  Choice choice;
  double us;
  bool measured = false; // otherwise predicted
  kernels::LaunchShape shape = {};
  std::string_view reason = {}; // why it won, if not by the shortest time

  bool leavesHalf() const { return shape.sharedBytes <= kernels::halfSmShared; }
  /// "mma tile_m=64 tile_n=64: 7.19 us predicted"
  std::string text() const;
};

/// Microseconds that were measured of a choice for a problem; nullopt: none were.
using Measured = std::function<std::optional<double>(const Problem &, const Choice &)>;

/// A choice that instanceOf does not refuse.
Weighed weigh(const Problem &problem, Choice choice, std::string_view target, const Measured &measured);

/// Choices in the order of their times, the winner first. What was measured says more than any prediction. A launch is
/// measured among its likes; within a step its neighbours are others, for whose early starts the winner leaves room.
std::vector<Weighed> weighAll(const Problem &problem, const std::vector<Choice> &choices, std::string_view target,
                              const Measured &measured);

/// Whether `a` comes before `b`.
bool isShorter(const Weighed &a, const Weighed &b);

} // namespace codegen
