// The report on a plan: launches, bytes, FLOPs, predicted time, memory. nanocc and nanort print the same bytes of it.
#pragma once

#include "runtime/report/program.h"

#include <string>

namespace nanort::report {

/// A program's object is {"target","precision","entries":[{"name","kind","batch","tokens","eager":{..},"plan":{..},
/// "nodes":[..]}],"memory":{..}}; a node served by a general template for want of a better one says why in "fallback".
/// A plan of one program is that object; one of several is {"programs":[..]}. nanocc stores it in the plan.
std::string json(const Plan &plan);

/// The same as tables for people.
std::string text(const Plan &plan);

/// And as one page that needs nothing but itself, no network and no scripts: tables, the arena over time, the kernels'
/// sources.
std::string html(const Plan &plan);

/// A line for each launch of an entry and of its loops: bytes, FLOPs, predicted time, the roofline's two sides and what
/// bounds it; with `reasons`, why a general template serves it where one does.
std::string launchTable(const Entry &entry, const std::string &indent, bool reasons);

} // namespace nanort::report
