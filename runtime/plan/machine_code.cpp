#include "runtime/plan/machine_code.h"

#include "kernels_templates/base/target.h"
#include "runtime/base/error.h"

#include <memory>
#include <zstd.h>

namespace nanort {

namespace {

// Level 6 takes 20 ms for 3.5 MB and leaves 15 %; level 19 takes 1.5 s and leaves 12 %. Kernels repeat each other over
// distances of megabytes, which only matching over long distances sees.
constexpr int level = 6;

} // namespace

std::vector<uint8_t> packCode(std::span<const char> code) {
  const std::unique_ptr<ZSTD_CCtx, decltype(&ZSTD_freeCCtx)> context(ZSTD_createCCtx(), ZSTD_freeCCtx);
  std::vector<uint8_t> frame(ZSTD_compressBound(code.size()));
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_enableLongDistanceMatching, 1);
  ZSTD_CCtx_setParameter(context.get(), ZSTD_c_checksumFlag, 0); // the plan's digest covers it
  const size_t size = ZSTD_compress2(context.get(), frame.data(), frame.size(), code.data(), code.size());
  if (ZSTD_isError(size))
    fail(Exit::Internal, std::string("zstd cannot pack the machine code: ") + ZSTD_getErrorName(size));
  frame.resize(size);
  return frame;
}

std::string codeFault(const schema::Program &program) {
  uint64_t total = 0;
  if (const auto *frame = program.code()) {
    total = ZSTD_getFrameContentSize(frame->data(), frame->size());
    if (total == ZSTD_CONTENTSIZE_ERROR || total == ZSTD_CONTENTSIZE_UNKNOWN ||
        ZSTD_findFrameCompressedSize(frame->data(), frame->size()) != frame->size())
      return "its machine code is no single zstd frame that states its size";
    if (total > maxCode)
      return "its machine code has " + std::to_string(total) + " bytes; 2^30 are the most";
  }
  for (const schema::Kernel *kernel : *program.kernels())
    if (const schema::CodeRange *range = kernel->code())
      if (range->size() == 0 || range->size() > total || range->offset() > total - range->size())
        return "kernel " + kernel->name()->str() + " has its machine code beyond the program's " +
               std::to_string(total) + " bytes";
  return {};
}

MachineCode::MachineCode(const Plan &plan, uint32_t index) {
  const schema::Program &program = plan.program(index);
  const auto *frame = program.code();
  if (!frame)
    return;
  const auto damaged = [&](const std::string &how) {
    fail(Exit::Input, plan.path().string() + ": the machine code of program " + program.target()->str() +
                          " is damaged (" + how + "); compile the model again with nanocc");
  };
  bytes.resize(ZSTD_getFrameContentSize(frame->data(), frame->size()));
  const size_t size = ZSTD_decompress(bytes.data(), bytes.size(), frame->data(), frame->size());
  if (ZSTD_isError(size))
    damaged(ZSTD_getErrorName(size));
  if (size != bytes.size())
    damaged("it is shorter than it says");
  const kernels::Target *target = kernels::findTarget(program.target()->string_view());
  if (target && target->isPtx())
    for (const schema::Kernel *kernel : *program.kernels())
      if (kernel->code() && of(*kernel).back() != 0) // the driver reads PTX up to its zero
        damaged("the PTX of kernel " + kernel->name()->str() + " does not end with a zero");
}

std::span<const char> MachineCode::of(const schema::Kernel &kernel) const {
  const schema::CodeRange *range = kernel.code();
  return range ? std::span(bytes).subspan(range->offset(), range->size()) : std::span<const char>();
}

} // namespace nanort
