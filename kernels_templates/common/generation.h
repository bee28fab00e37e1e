// The words of a generation's buffers, which the runtime, the CPU references and the device templates
// (common/generation.cuh repeats these numbers) agree on.
#pragma once

#include <cstdint>

namespace kernels::generation {

/// Tokens of all prompts together stay below this: indices are 32-bit.
inline constexpr int64_t maxPrompts = int64_t(1) << 29;

/// Stop ids that a request can hold.
inline constexpr int maxStopIds = 64;

/// request i32: what the host asks for. Header, stop ids, then two words a row. The prompts of the rows lie end to end
/// in `prompt`, row 0 first.
enum RequestWord { requestTokens = 0, requestRows = 1, requestStopCount = 2, requestStops = 4 };
inline constexpr int requestHeader = requestStops + maxStopIds;
enum RequestRowWord { rowEnd = 0, rowLimit = 1 }; // where the row's prompt ends in `prompt`; tokens to emit at most

/// progress i32: where the device is. Header, then two words a row.
enum ProgressWord { progressCursor = 0, progressCount = 1 }; // first token of the chunk under way; pairs in the ring
inline constexpr int progressHeader = 2;
enum ProgressRowWord { rowEmitted = 0, rowStatus = 1 };

enum Status : int32_t { waiting = 0, active = 1, stopped = 2, length = 3, context = 4, cancelled = 5 };

/// ring i32: what the host sees while the device runs. Header, then pairs (row, id); id -status ends the row.
/// `ringCount` pairs are valid; the host sets `ringCancel` to end the generation early.
enum RingWord { ringCount = 0, ringCancel = 4 };
inline constexpr int ringHeader = 8;

/// go u32: whether there is another chunk, and whether any row needs another step.
enum GoWord { goChunks = 0, goSteps = 1, goWords = 2 };

constexpr uint64_t requestWords(uint64_t rows) { return requestHeader + 2 * rows; }
constexpr uint64_t progressWords(uint64_t rows) { return progressHeader + 2 * rows; }
/// Every position of every row, and the end of each row.
constexpr uint64_t ringWords(uint64_t rows, uint64_t positions) { return ringHeader + 2 * rows * (positions + 1); }

} // namespace kernels::generation
