// A plan, its digest made right: refused, or unpacked and run without leaving its buffers.
#include "runtime/plan/machine_code.h"
#include "runtime/session/device.h"
#include "runtime/session/generate.h"
#include "runtime/session/memory.h"
#include "runtime/weights/weights.h"
#include "tests/fuzz/input.h"

#include <vector>

using namespace nanort;

namespace {

/// Sound, but slow to clear and to compute with: not what a fuzzer should spend its time on.
bool isLarge(const schema::Program &program) { return requestedBy(program).plan() > (1u << 20); }

void run(const std::shared_ptr<const Plan> &plan) {
  const Weights weights = Weights::random(plan, 1);
  for (uint32_t program = 0; program < plan->root().programs()->size(); ++program) {
    const MachineCode code(*plan, program);
    for (const schema::Kernel *kernel : *plan->program(program).kernels())
      code.of(*kernel);
    if (isLarge(plan->program(program)))
      continue;
    Session session(plan, program, makeCpuExecutor(plan, program, weights, {1, 0, true}));
    const std::vector<int32_t> prompt(std::min<uint32_t>(6, session.positions() - 1),
                                      static_cast<int32_t>(session.vocab() - 1));
    const Session::Feed feeds[] = {{0, prompt}};
    session.prefill(feeds);
    const Session::Token token[] = {{0, 0}};
    session.decode(token);
    session.score(prompt, true, [](size_t, std::span<const float>, std::span<const float>) {});
  }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::vector<uint8_t> bytes(data, data + size);
  flatbuffers::Verifier verifier(bytes.data(), bytes.size());
  if (schema::VerifyPlanBuffer(verifier)) {
    const auto *digest = schema::GetPlan(bytes.data())->digest();
    if (digest && digest->size() == 32)
      sealPlan(bytes);
  }
  const std::filesystem::path path = fuzz::fileOf(bytes, "plan.fb");
  fuzz::expectRefusalOrSuccess([&] { run(Plan::open(path)); });
  return 0;
}
