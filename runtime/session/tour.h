// Calls that reach every entry of a program, for comparisons.
#pragma once

#include "runtime/session/session.h"

namespace nanort {

/// Random texts, always the same: each prefill entry full of prompts of different lengths, and again behind others, so
/// that it reads the cache; each decode entry over rows of different lengths, three steps; a chunk of scoring. What the
/// rows hold is forgotten. Generate entries are made of these and left out.
void visitEntries(Session &session, const schema::Program &program);

} // namespace nanort
