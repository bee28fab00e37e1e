// A small complete model as a plan, built as JSON so that tests can bend any field.
#pragma once

#include "runtime/plan/plan.h"

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace nanort::test {

using Json = nlohmann::ordered_json; // a union's type must come before its value

struct TinyOptions {
  std::vector<uint64_t> prefill = {4, 8}; // token buckets
  std::vector<uint64_t> decode = {1, 2};  // batches; the largest is also the rows of prefill
  uint64_t score = 4;                     // token slots; 0: no score entry
  std::string target = "cpu";
  bool generate = false; // generate entries as well
};

inline constexpr uint64_t kTinyVocab = 11, kTinyPositions = 12, kTinyWindow = 3, kTinyRing = 5;

/// One layer with a window shorter than the context, two heads over one key head, smear (so the previous token
/// matters), and an arena in which dead buffers' bytes are used again.
Json tinyPlan(const TinyOptions &options = {});

/// A plan file's bytes with this build's schema hash, and the right digest if `seal`.
std::vector<uint8_t> serialize(const Json &plan, bool seal = true);

/// A folder of its own that vanishes with the object.
class TempDir {
public:
  TempDir();
  ~TempDir();
  std::filesystem::path operator/(const std::string &name) const { return path / name; }

private:
  std::filesystem::path path;
};

void writeFile(const std::filesystem::path &path, const std::vector<uint8_t> &bytes);
std::shared_ptr<const Plan> openPlan(const TempDir &dir, const Json &plan);

/// Node indices of an entry whose kernel is of a family.
std::vector<size_t> nodesOf(const Json &program, size_t entry, const std::string &family);

/// What `body` throws: the exit code and message of its Error; fails the test if it throws nothing.
struct Thrown {
  int code = 0;
  std::string message;
};
Thrown thrownBy(const std::function<void()> &body);

} // namespace nanort::test
