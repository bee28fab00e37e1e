// A plan of one small CUDA program for tests of the executor: embed, then a scale, then a matrix product by library.
#pragma once

#include "runtime/plan/plan.h"
#include "tests/unit/plan_files.h"

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
  static constexpr uint32_t table = 0, head = 1, large = 2, tokens = 3, hidden = 4, scaled = 5, logits = 6; // buffers
  static constexpr uint64_t vocab = 3, width = 4, largeElements = 5 << 20;
  static constexpr uint64_t constantBytes = 512 + largeElements * 4, stateBytes = 512, arenaBytes = 512,
                            workspaceBytes = 4096;

  /// Writes, seals and opens it.
  static std::shared_ptr<const nanort::Plan> open(const std::filesystem::path &path, const CudaPlanOptions &options);
};

/// Every kernel of the program, a plan's JSON, gets an image for the fake driver.
void addFakeImages(nanort::test::Json &program);
