// The words of a generation's buffers, which the runtime, the CPU references and the device agree on.
#pragma once

#include "kernels_templates/base/both.h"

namespace kernels::generation {

/// Tokens of all prompts together stay below this: indices are 32-bit.
constexpr long long maxPrompts = 1ll << 29;

/// Stop ids that a request can hold.
constexpr int maxStopIds = 64;

/// request i32: what the host asks for. Header, stop ids, then two words a row. The prompts of the rows lie end to end
/// in `prompt`, row 0 first.
enum RequestWord { requestTokens = 0, requestRows = 1, requestStopCount = 2, requestStops = 4 };
constexpr int requestHeader = requestStops + maxStopIds;
enum RequestRowWord { rowEnd = 0, rowLimit = 1 }; // where the row's prompt ends in `prompt`; tokens to emit at most

/// progress i32: where the device is. Header, then two words a row.
enum ProgressWord { progressCursor = 0, progressCount = 1 }; // first token of the chunk under way; pairs in the ring
constexpr int progressHeader = 2;
enum ProgressRowWord { rowEmitted = 0, rowStatus = 1 };

enum Status : int { waiting = 0, active = 1, stopped = 2, length = 3, context = 4, cancelled = 5 };

/// ring i32: what the host sees while the device runs. Header, then pairs (row, id); id -status ends the row.
/// `ringCount` pairs are valid; the host sets `ringCancel` to end the generation early.
enum RingWord { ringCount = 0, ringCancel = 4 };
constexpr int ringHeader = 8;

/// go u32: whether there is another chunk, and whether any row needs another step.
enum GoWord { goChunks = 0, goSteps = 1, goWords = 2 };

BOTH constexpr unsigned long long requestWords(unsigned long long rows) { return requestHeader + 2 * rows; }
BOTH constexpr unsigned long long progressWords(unsigned long long rows) { return progressHeader + 2 * rows; }
/// Every position of every row, and the end of each row.
BOTH constexpr unsigned long long ringWords(unsigned long long rows, unsigned long long positions) {
  return ringHeader + 2 * rows * (positions + 1);
}

} // namespace kernels::generation
