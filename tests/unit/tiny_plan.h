// A small complete model as a plan, built as JSON so that tests can bend any field.
#pragma once

#include "tests/unit/plan_files.h"

namespace nanort::test {

struct TinyOptions {
  std::vector<uint64_t> prefill = {4, 8}; // token buckets
  std::vector<uint64_t> decode = {1, 2};  // batches; the largest is also the rows of prefill
  uint64_t score = 4;                     // token slots; 0: no score entry
  std::string target = "cpu";
  bool generate = false; // generate entries as well
};

inline constexpr uint64_t tinyVocab = 11, tinyPositions = 12, tinyWindow = 3, tinyRing = 5;

/// One layer with a window shorter than the context, two heads over one key head, smear (so the previous token
/// matters), and an arena in which dead buffers' bytes are used again.
Json tinyPlan(const TinyOptions &options = {});

} // namespace nanort::test
