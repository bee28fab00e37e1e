// What a profiler's timeline calls the phases of a run (NVTX). Without a profiler this is a test of one flag.
#pragma once

namespace nanort {

/// Lasts as long as the object, on its thread; ranges nest. A profiler names its library in $NVTX_INJECTION64_PATH, as
/// NVTX 3 prescribes; nothing is loaded where that is not set.
class Range {
public:
  explicit Range(const char *name);
  ~Range();
  Range(const Range &) = delete;
  Range &operator=(const Range &) = delete;
};

} // namespace nanort
