#include "kernels_templates/common/generation_cpu.h"

#include <algorithm>

namespace kernels::feed {

using namespace generation;

void cpu(const CpuArgs &args) {
  const int32_t slots = args.scalars[0].i, chunkRows = args.scalars[1].i, batch = args.scalars[2].i;
  const bool accept = args.scalars[3].i != 0;
  const int32_t *prompt = args.at<int32_t>(0);
  const Request request(args.at<int32_t>(1));
  int32_t *progress = args.at<int32_t>(3);
  auto *go = args.at<uint32_t>(4);
  const StepInputs step(args, 14);
  const int32_t used = request.rows(std::min(chunkRows, batch));
  const int32_t cursor = accept ? progress[progressCursor] : -slots, begin = cursor + slots;
  if (!accept) {
    std::fill_n(progress + progressHeader, 2 * used, 0);
    progress[progressCount] = 0;
    for (int32_t row = 0; row < batch; ++row)
      step.reset(row);
  }
  const Accepted now = acceptTokens(
      request, args.at<int32_t>(2), progress, args.at<int32_t>(5), used, args.params["max_seq"], step,
      [&](int32_t row, int32_t status) {
        return status == waiting && request.end(row) > cursor && request.end(row) <= begin;
      },
      [&](int32_t row) { return prompt[request.end(row) - 1]; });

  int32_t *inputs[8]; // tokens, prev, rows, positions; starts, ends, last, steps
  for (size_t i = 0; i < 8; ++i)
    inputs[i] = args.at<int32_t>(6 + i);
  int32_t row = 0;
  for (int32_t slot = 0; slot < slots; ++slot) {
    const int32_t at = begin + slot;
    const bool holds = at < request.tokens();
    while (holds && request.end(row) <= at)
      ++row;
    const int32_t position = holds ? at - request.begin(row) : 0;
    inputs[0][slot] = holds ? prompt[at] : -1;
    inputs[1][slot] = position > 0 ? prompt[at - 1] : -1;
    inputs[2][slot] = holds ? row : -1;
    inputs[3][slot] = position;
  }
  for (int32_t r = 0; r < chunkRows; ++r) {
    const bool in = r < used;
    const int32_t first = in ? request.begin(r) : 0, end = in ? request.end(r) : 0;
    inputs[4][r] = std::clamp(begin, first, end) - first;
    inputs[5][r] = std::clamp(begin + slots, first, end) - first;
    inputs[6][r] = in && end > begin && end <= begin + slots ? end - 1 - begin : -1;
    inputs[7][r] = in && end <= begin ? 1 : 0;
  }
  progress[progressCursor] = begin;
  go[goChunks] = begin < request.tokens() && !now.cancelled;
  go[goSteps] = now.active;
}

} // namespace kernels::feed
