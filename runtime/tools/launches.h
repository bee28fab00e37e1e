// Launches of an entry one by one: what they should take, and what they took.
#pragma once

#include "kernels_templates/base/device_model.h"
#include "runtime/executor/executor.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace nanort::tools {

/// By the model of the program's target; nullopt for a cpu program.
std::optional<kernels::Prediction> predict(const schema::Program &program, const schema::Node &node);

/// As Kernel::fallback gives it.
std::string fallbackOf(const schema::Program &program, const schema::Node &node);

/// "model.mlir:12", or "-".
std::string locationOf(const schema::Node &node);
/// The kernel's name, and whether cuBLASLt stands for it.
std::string kernelOf(const schema::Program &program, const schema::Node &node);

/// A table of an entry's own nodes and those of its loops: bytes, FLOPs, predicted time, what bounds it, and the
/// kernel, with the reason where it is a general one.
std::string launchTable(const schema::Program &program, const schema::Entry &entry);

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
std::string explainText(const schema::Program &program, const schema::Entry &entry, const Achieved &times, size_t runs);
nlohmann::ordered_json explainJson(const schema::Program &program, const schema::Entry &entry, const Achieved &times);

} // namespace nanort::tools
