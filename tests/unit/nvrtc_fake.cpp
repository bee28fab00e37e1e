// The fake's NVRTC: a "cubin" is an image for its driver, with a letter for each argument of the entry point.
#include "tests/unit/cuda_fake.h"

#include <cstring>
#include <mutex>

namespace {

struct Program {
  std::string source, log;
};

/// The arguments between the parentheses of the `extern "C"` kernel.
std::string lettersOf(const std::string &source) {
  const size_t kernel = source.rfind("extern \"C\" __global__"), end = source.find(") {", kernel);
  std::string letters;
  for (size_t at = source.rfind('(', end) + 1, next; at < end; at = next + 2) {
    next = std::min(source.find(", ", at), end);
    const std::string argument = source.substr(at, next - at);
    const bool wide = argument.find('*') != std::string::npos || argument.find("long long") != std::string::npos;
    const bool map = argument.find("TensorMap") != std::string::npos;
    letters += argument.ends_with("*stamps") ? 't' : map ? 'm' : wide ? 'b' : 's';
  }
  return letters;
}

} // namespace

extern "C" {

FakeCuda *fakeCudaState();

// A version of its own: images are cached by it.
int nvrtcVersion(int *major, int *minor) { return *major = 99, *minor = 0; }
const char *nvrtcGetErrorString(int) { return "fake error"; }
int nvrtcCreateProgram(Program **program, const char *source, const char *, int, const char *const *,
                       const char *const *) {
  return *program = new Program{source, {}}, 0;
}
int nvrtcDestroyProgram(Program **program) { return delete *program, 0; }
// As the real one, whose cache keeps no log, it tells of stack and spills only if it is kept from caching.
int nvrtcCompileProgram(Program *program, int count, const char *const *options) {
  static std::mutex mutex; // kernels are compiled on all cores
  {
    const std::lock_guard lock(mutex);
    fakeCudaState()->compiled.push_back(program->source);
  }
  for (int i = 0; i < count; ++i)
    if (!std::strcmp(options[i], "--no-cache"))
      program->log = "ptxas info    : 0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads";
  return 0;
}
int nvrtcGetProgramLogSize(Program *program, size_t *size) { return *size = program->log.size() + 1, 0; }
int nvrtcGetProgramLog(Program *program, char *log) { return std::strcpy(log, program->log.c_str()), 0; }
int nvrtcGetCUBINSize(Program *program, size_t *size) {
  return *size = fakeImage(lettersOf(program->source)).size() + 1, 0;
}
int nvrtcGetCUBIN(Program *program, char *cubin) {
  return std::strcpy(cubin, fakeImage(lettersOf(program->source)).c_str()), 0;
}
// None of its users asks for PTX.
int nvrtcGetPTXSize(Program *, size_t *) { return 1; }
int nvrtcGetPTX(Program *, char *) { return 1; }
}
