// Entries as graphs for Graphviz.
#pragma once

#include "runtime/plan/plan.h"

#include <string>

namespace nanort::tools {

/// A digraph: full edges solid, programmatic ones dashed, what a loop repeats in a cluster.
std::string dotOf(const schema::Program &program, const schema::Entry &entry);

} // namespace nanort::tools
