#include "kernels_templates/common/generation_cpu.h"

namespace kernels::advance {

using namespace generation;

void cpu(const CpuArgs &args) {
  const Request request(args.at<int32_t>(0));
  const StepInputs step(args, 5);
  const Accepted now = acceptTokens(
      request, args.at<int32_t>(1), args.at<int32_t>(2), args.at<int32_t>(4), request.rows(args.scalars[0].i),
      args.params["max_seq"], step, [](int32_t, int32_t status) { return status == active; },
      [&](int32_t row) { return step.token(row); });
  args.at<uint32_t>(3)[goSteps] = now.active;
}

} // namespace kernels::advance
