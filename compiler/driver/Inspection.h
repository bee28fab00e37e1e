// --statistics and --debug-only: what the passes say of their work, in nanocc and nanocc-opt alike.
#pragma once

#include "llvm/Support/CommandLine.h"

namespace nanocc {

extern llvm::cl::OptionCategory inspectionCategory;

/// To standard error, if --statistics was given.
void printStatistics();

} // namespace nanocc
