#include "compiler/driver/Inspection.h"

#include "llvm/ADT/Statistic.h"
#include "llvm/Support/Debug.h"
#include "llvm/Support/raw_ostream.h"

#include <vector>

namespace cl = llvm::cl;

cl::OptionCategory nanocc::inspectionCategory("inspection");

static cl::opt<bool> statistics("statistics", cl::desc("Count what the passes did, on standard error"),
                                cl::cat(nanocc::inspectionCategory), cl::callback([](const bool &wanted) {
                                  if (wanted)
                                    llvm::EnableStatistics(/*DoPrintOnExit=*/false);
                                }));

#ifndef NDEBUG
// LLVM has this flag too where it is built with assertions itself; Debian's is not.
static cl::list<std::string> debugOnly("debug-only", cl::CommaSeparated, cl::value_desc("kern-fuse-embed,..."),
                                       cl::desc("What these passes decide, and why, on standard error"),
                                       cl::cat(nanocc::inspectionCategory), cl::callback([](const std::string &) {
                                         std::vector<const char *> types;
                                         for (const std::string &type : debugOnly)
                                           types.push_back(type.c_str());
                                         llvm::DebugFlag = true;
                                         llvm::setCurrentDebugTypes(types.data(), static_cast<unsigned>(types.size()));
                                       }));
#endif

void nanocc::printStatistics() {
  if (statistics)
    llvm::PrintStatistics(llvm::errs());
}
