#include "codegen/Nvrtc.h"

#include "runtime/base/error.h"

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <regex>

namespace fs = std::filesystem;

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
};

bool bind(void *library, Api &api) {
  auto find = [library](auto &function, const char *name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    return function != nullptr;
  };
  return find(api.version, "nvrtcVersion") && find(api.errorString, "nvrtcGetErrorString") &&
         find(api.create, "nvrtcCreateProgram") && find(api.destroy, "nvrtcDestroyProgram") &&
         find(api.compile, "nvrtcCompileProgram") && find(api.logSize, "nvrtcGetProgramLogSize") &&
         find(api.log, "nvrtcGetProgramLog") && find(api.cubinSize, "nvrtcGetCUBINSize") &&
         find(api.cubin, "nvrtcGetCUBIN");
}

std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

constexpr const char *sonames[] = {"libnvrtc.so.13", "libnvrtc.so.12"};

/// Library folders of NVIDIA's pip wheels under the python environments that are likely in use.
std::vector<fs::path> wheelFolders() {
  std::vector<fs::path> prefixes;
  for (const char *variable : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    if (std::string prefix = environment(variable); !prefix.empty())
      prefixes.emplace_back(prefix);
  if (std::string home = environment("HOME"); !home.empty())
    prefixes.push_back(fs::path(home) / ".local");
  prefixes.insert(prefixes.end(), {"/usr/local", "/usr"});

  std::vector<fs::path> folders;
  for (const fs::path &prefix : prefixes) {
    std::vector<fs::path> pythons;
    std::error_code error;
    for (fs::directory_iterator it(prefix / "lib", error), end; !error && it != end; it.increment(error))
      if (it->path().filename().string().starts_with("python3"))
        pythons.push_back(it->path());
    std::sort(pythons.rbegin(), pythons.rend());
    for (const fs::path &python : pythons)
      for (const char *packages : {"site-packages", "dist-packages"})
        for (const char *wheel : {"nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"})
          folders.push_back(python / packages / wheel);
  }
  return folders;
}

/// What ptxas accepts in silence and what ruins a kernel; empty if `log` has none of it.
std::string defectOf(const std::string &log) {
  for (const char *code : {"C7508", "C7511", "C7514"}) // wgmma serialised
    if (log.find(code) != std::string::npos)
      return std::string("ptxas warning ") + code;
  static const std::regex usage("([0-9]+) bytes (stack frame|spill stores|spill loads)");
  for (std::sregex_iterator it(log.begin(), log.end(), usage), end; it != end; ++it)
    if ((*it)[1] != "0")
      return it->str();
  return "";
}

class NvrtcImpl final : public Nvrtc {
public:
  /// Null if the file cannot be loaded or lacks a function.
  static std::unique_ptr<Nvrtc> load(const std::string &file) {
    Api api;
    void *library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    int major = 0, minor = 0;
    if (!library || !bind(library, api) || api.version(&major, &minor) != 0)
      return nullptr;
    auto result = std::make_unique<NvrtcImpl>();
    result->api = api;
    result->versionText = std::to_string(major) + "." + std::to_string(minor);
    return result; // the library stays open: unloading NVRTC while threads exit is not safe
  }

  std::string version() const override { return versionText; }

  std::vector<char> compile(const std::string &name, const std::string &source, const std::string &target) override {
    Program raw = nullptr;
    // A fixed program name: line information carries it into the cubin.
    check(api.create(&raw, source.c_str(), "kernel.cu", 0, nullptr, nullptr), name, "nvrtcCreateProgram");
    auto destroy = [this](Program program) { api.destroy(&program); };
    std::unique_ptr<OpaqueProgram, decltype(destroy)> program(raw, destroy);

    const std::string arch = "-arch=" + target;
    std::vector<const char *> options = {arch.c_str()};
    options.insert(options.end(), std::begin(compileOptions), std::end(compileOptions));
    const int result = api.compile(raw, static_cast<int>(options.size()), options.data());
    const std::string log = logOf(raw);
    if (result != 0)
      fail(Exit::Internal, "kernel " + name + " does not compile for " + target + " with NVRTC " + versionText + ": " +
                               api.errorString(result) + "\n" + log);
    if (std::string defect = defectOf(log); !defect.empty())
      fail(Exit::Internal, "kernel " + name + " compiles badly for " + target + ": " + defect + "\n" + log);

    size_t size = 0;
    check(api.cubinSize(raw, &size), name, "nvrtcGetCUBINSize");
    std::vector<char> cubin(size);
    check(api.cubin(raw, cubin.data()), name, "nvrtcGetCUBIN");
    return cubin;
  }

private:
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
};

} // namespace

std::unique_ptr<Nvrtc> Nvrtc::open(std::string &reason) {
  if (std::string file = environment("NANORT_NVRTC"); !file.empty()) {
    auto nvrtc = NvrtcImpl::load(file);
    if (!nvrtc)
      reason = "NVRTC cannot be loaded from NANORT_NVRTC=" + file;
    return nvrtc;
  }

  std::vector<fs::path> folders = wheelFolders();
  if (std::string home = environment("CUDA_HOME"); !home.empty())
    folders.push_back(fs::path(home) / "lib64");
  folders.push_back("/usr/local/cuda/lib64");
  for (const fs::path &folder : folders)
    for (const char *soname : sonames) {
      std::error_code error;
      if (fs::exists(folder / soname, error))
        if (auto nvrtc = NvrtcImpl::load((folder / soname).string()))
          return nvrtc;
    }
  for (const char *soname : sonames)
    if (auto nvrtc = NvrtcImpl::load(soname))
      return nvrtc;
  reason = "no NVRTC (libnvrtc.so.13 or .12) in NVIDIA's Python wheels, $CUDA_HOME/lib64, /usr/local/cuda/lib64 or the "
           "system's library path; install the wheel nvidia-cuda-nvrtc or name the file in NANORT_NVRTC";
  return nullptr;
}

} // namespace codegen
