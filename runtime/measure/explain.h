// Launches of an entry one by one: what they took against what they should take.
#pragma once

#include "runtime/executor/executor.h"
#include "runtime/report/program.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nanort {

/// Of at least one value.
double median(std::vector<double> values);

/// Medians over several runs of an entry, in microseconds.
struct Achieved {
  double step = 0; // from the first begin to the last end
  /// By node: from the end of everything before it to its own end. A library call ends where the next launch begins;
  /// of several in a row the last one has the time of all. nullopt: nothing took the time.
  std::vector<std::optional<double>> launches;
};
Achieved achieved(std::span<const std::vector<LaunchTime>> runs);

/// Achieved against predicted, as a table and as an object.
std::string explainText(const report::Entry &entry, const Achieved &times, size_t runs);
nlohmann::ordered_json explainJson(const report::Entry &entry, const Achieved &times);

} // namespace nanort
