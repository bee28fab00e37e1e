// A program of a plan as JSON: buffers, constants and launches, and what follows from those: places in memory and
// edges.
#pragma once

#include "tests/unit/plan_files.h"

#include <map>

namespace nanort::test {

class ProgramJson {
protected:
  /// What a node does to a buffer.
  struct Use {
    bool reads = false, writes = false;
  };

  explicit ProgramJson(std::string target) : target(std::move(target)) {}

  /// Whatever the space but Arena, behind those before.
  size_t buffer(const std::string &name, const std::string &space, const std::string &dtype,
                std::vector<uint64_t> shape);
  /// A constant of one f32 part: what the last of `steps` ({type, fields}) makes, or without any its one source.
  void constant(const std::string &name, const std::vector<uint64_t> &shape, const std::vector<size_t> &sources,
                const std::vector<std::pair<std::string, Json>> &steps);
  /// A buffer of the entry being built; gives its name.
  std::string arena(const std::string &name, std::vector<uint64_t> shape);
  /// The entry's own buffer of a name, or the one that all share.
  size_t find(const std::string &name) const;

  /// A launch of the entry being built, by the reference in a cpu program, otherwise by an engine. A string among the
  /// arguments names a buffer, an integer or a float is a scalar.
  void node(const std::string &meaning, std::vector<int64_t> params, const Json &args);
  void bind(Json &bound, const std::vector<std::string> &inputs, const std::vector<std::string> &outputs) const;

  /// First fit over lifetimes, of the arena buffers from `firstBuffer` on.
  void placeArena(size_t firstBuffer);
  /// For nodes from `first` on: every conflict with an earlier node, without those that other edges imply.
  void formEdges(size_t first);

  std::string target;
  Json buffers = Json::array(), constants = Json::array(), kernels = Json::array(), entries = Json::array();
  std::map<std::string, uint64_t> totals; // bytes by space
  std::map<std::string, size_t> bufferIndex;
  // Of the entry being built:
  Json nodes;
  std::vector<std::map<size_t, Use>> uses; // of each node, by buffer
  std::string prefix;

private:
  bool shareBytes(size_t a, size_t b) const;

  std::map<std::string, size_t> kernelIndex;
};

} // namespace nanort::test
