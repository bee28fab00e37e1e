// A plan of one small CUDA program for tests of the executor: embed, then a scale, then a matrix product by library.
#pragma once

#include "runtime/plan/plan.h"

#include <filesystem>
#include <string>

struct CudaPlanOptions {
  std::string target = "sm_90a";
  uint32_t minDriver = 12000;
  bool cubins = true, sources = false; // sources come behind early.cuh and late.cuh
  bool programmatic = false;           // the edge between the two kernels
  std::string library = {};            // the version of cuBLASLt whose algorithm was measured
  uint32_t algorithm = 0;
};

/// Facts of the program that tests check against what reaches the driver.
struct CudaPlan {
  static constexpr uint32_t Table = 0, Head = 1, Large = 2, Tokens = 3, Hidden = 4, Scaled = 5, Logits = 6; // buffers
  static constexpr uint64_t Vocab = 3, Width = 4, LargeElements = 5 << 20;
  static constexpr uint64_t ConstantBytes = 512 + LargeElements * 4, StateBytes = 512, ArenaBytes = 512,
                            WorkspaceBytes = 4096;

  /// Writes, seals and opens it.
  static std::shared_ptr<const nanort::Plan> open(const std::filesystem::path &path, const CudaPlanOptions &options);
};
