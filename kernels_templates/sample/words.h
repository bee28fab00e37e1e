// The words of the input `sampling`, which sessions fill: what host and device agree on.
#pragma once

namespace kernels {

/// sampling u32: a float, then integers; the words that have no name are 0.
enum SamplingWord {
  samplingTemperature = 0, // 0: greedy
  samplingTopK = 1,        // 0 or less: all
  samplingSeedLow = 2,
  samplingSeedHigh = 3,
  samplingRowBase = 4, // what row 0 counts as
  samplingWords = 8
};

/// The last word of the counters of philox() that sampling's noise comes from: (id / 4, row, step, "nano"). Its word
/// id % 4 is that of the id.
constexpr unsigned samplingStream = 0x6e616e6f;

} // namespace kernels
