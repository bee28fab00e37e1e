#include "codegen/Nvrtc.h"

#include "runtime/base/error.h"
#include "runtime/base/library.h"

#include <regex>

namespace codegen {

namespace {

using nanort::Exit;
using nanort::fail;

// NVRTC's C interface, as far as it is used here (stable since CUDA 11.1). 0 is success.
using Program = struct OpaqueProgram *;
struct Api {
  int (*version)(int *major, int *minor);
  const char *(*errorString)(int result);
  int (*create)(Program *program, const char *source, const char *name, int headers, const char *const *headerTexts,
                const char *const *headerNames);
  int (*destroy)(Program *program);
  int (*compile)(Program program, int count, const char *const *options);
  int (*logSize)(Program program, size_t *size);
  int (*log)(Program program, char *log);
  int (*cubinSize)(Program program, size_t *size);
  int (*cubin)(Program program, char *cubin);
  int (*ptxSize)(Program program, size_t *size);
  int (*ptx)(Program program, char *ptx);
};

/// What ptxas accepts in silence and what ruins a kernel; empty if `log` has none of it.
std::string defectOf(const std::string &log) {
  // C7508: setmaxnreg ignored; C7511, C7514, C7515 and others: wgmma serialized, whatever the cause.
  static const std::regex loss("C75[0-9]+(?=\\) Potential Performance Loss)");
  if (std::smatch match; std::regex_search(log, match, loss))
    return "ptxas warning " + match.str();
  static const std::regex usage("([0-9]+) bytes (stack frame|spill stores|spill loads)");
  std::sregex_iterator it(log.begin(), log.end(), usage), end;
  if (it == end)
    return "ptxas does not say whether it spills"; // an image from a cache, for one
  for (; it != end; ++it)
    if ((*it)[1] != "0")
      return it->str();
  return "";
}

class NvrtcImpl final : public Nvrtc {
public:
  /// Errors: Exit::Device for a library that lacks a function.
  explicit NvrtcImpl(const nanort::OpenedLibrary &library) {
    library.bind("nvrtcVersion", api.version);
    library.bind("nvrtcGetErrorString", api.errorString);
    library.bind("nvrtcCreateProgram", api.create);
    library.bind("nvrtcDestroyProgram", api.destroy);
    library.bind("nvrtcCompileProgram", api.compile);
    library.bind("nvrtcGetProgramLogSize", api.logSize);
    library.bind("nvrtcGetProgramLog", api.log);
    library.bind("nvrtcGetCUBINSize", api.cubinSize);
    library.bind("nvrtcGetCUBIN", api.cubin);
    library.bind("nvrtcGetPTXSize", api.ptxSize);
    library.bind("nvrtcGetPTX", api.ptx);
    int major = 0, minor = 0;
    check(api.version(&major, &minor), "", "nvrtcVersion");
    caches = std::pair(major, minor) >= std::pair(12, 9);
    versionText = std::to_string(major) + "." + std::to_string(minor);
  }

  std::string version() const override { return versionText; }

  std::vector<char> compile(const std::string &name, const std::string &source, const std::string &target) override {
    Compiled result = compileOnce(name, source, target, "");
    // ptxas may spill a few bytes to fit the blocks that it was asked for, or thinks worth while.
    if (result.defect.find(" bytes ") != std::string::npos)
      result = compileOnce(name, source, target, "-D" + std::string(moreRegisters));
    if (!result.defect.empty())
      fail(Exit::Internal,
           "kernel " + name + " compiles badly for " + target + ": " + result.defect + "\n" + result.log);
    return std::move(result.image);
  }

private:
  struct Compiled {
    std::vector<char> image;
    std::string defect, log;
  };

  Compiled compileOnce(const std::string &name, const std::string &source, const std::string &target,
                       const std::string &definition) {
    Program raw = nullptr;
    // A fixed program name: line information carries it into the cubin, and the working folder with a relative one.
    check(api.create(&raw, source.c_str(), "/kernel.cu", 0, nullptr, nullptr), name, "nvrtcCreateProgram");
    auto destroy = [this](Program program) { api.destroy(&program); };
    std::unique_ptr<OpaqueProgram, decltype(destroy)> program(raw, destroy);

    const std::string arch = "-arch=" + target;
    std::vector<const char *> options = {arch.c_str()};
    options.insert(options.end(), std::begin(compileOptions), std::end(compileOptions));
    if (caches) // what comes from the driver's cache comes without ptxas' log
      options.push_back("--no-cache");
    if (!definition.empty())
      options.push_back(definition.c_str());
    const int result = api.compile(raw, static_cast<int>(options.size()), options.data());
    Compiled compiled;
    compiled.log = logOf(raw);
    if (result != 0)
      fail(Exit::Internal, "kernel " + name + " does not compile for " + target + " with NVRTC " + versionText + ": " +
                               api.errorString(result) + "\n" + compiled.log);
    // PTX of a virtual architecture meets ptxas in the driver alone.
    const bool isVirtual = target.starts_with("compute_");
    if (!isVirtual)
      compiled.defect = defectOf(compiled.log);
    if (!compiled.defect.empty())
      return compiled;

    size_t size = 0;
    check((isVirtual ? api.ptxSize : api.cubinSize)(raw, &size), name,
          isVirtual ? "nvrtcGetPTXSize" : "nvrtcGetCUBINSize");
    compiled.image.resize(size);
    check((isVirtual ? api.ptx : api.cubin)(raw, compiled.image.data()), name,
          isVirtual ? "nvrtcGetPTX" : "nvrtcGetCUBIN");
    return compiled;
  }

  std::string logOf(Program program) const {
    size_t size = 0;
    if (api.logSize(program, &size) != 0 || size <= 1)
      return "";
    std::string log(size, '\0');
    if (api.log(program, log.data()) != 0)
      return "";
    log.resize(size - 1); // without the terminating zero
    return log;
  }

  void check(int result, const std::string &name, const char *function) const {
    if (result != 0)
      fail(Exit::Internal, std::string(function) + " failed for kernel " + name + ": " + api.errorString(result));
  }

  Api api;
  std::string versionText;
  bool caches = false; // compiled kernels, in the driver's cache
};

} // namespace

std::unique_ptr<Nvrtc> Nvrtc::open(std::string &reason) {
  try {
    return std::make_unique<NvrtcImpl>(nanort::findLibrary(
        {"NVRTC", "NANORT_NVRTC", {"libnvrtc.so.13", "libnvrtc.so.12"}, {"cu13/lib", "cuda_nvrtc/lib"}}));
  } catch (const nanort::Error &error) {
    reason = error.what();
    return nullptr;
  }
}

} // namespace codegen
