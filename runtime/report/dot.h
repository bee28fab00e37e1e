// Entries as graphs for Graphviz.
#pragma once

#include "runtime/report/program.h"

#include <string>

namespace nanort::report {

/// A digraph: full edges solid, programmatic ones dashed, what a loop repeats in a cluster.
std::string dotOf(const Program &program, const Entry &entry);

} // namespace nanort::report
