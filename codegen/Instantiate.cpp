#include "codegen/Instantiate.h"

#include "codegen/Nvrtc.h"
#include "codegen/Templates.h"
#include "kernels_templates/base/predict.h"

namespace codegen {

using kernels::Access;
using kernels::Arg;
using kernels::Kernel;
using kernels::Values;

static std::string declaration(const Arg &arg, const Values &params) {
  std::string name(arg.name);
  switch (arg.access) {
  case Access::I32:
    return "int " + name;
  case Access::F32:
    return "float " + name;
  case Access::Condition:
    return "unsigned long long " + name;
  case Access::In:
    return "const " + std::string(infoOf(elementType(arg, params)).deviceName) + " *" + name;
  case Access::Out:
  case Access::InOut:
  case Access::Scratch:
    return std::string(infoOf(elementType(arg, params)).deviceName) + " *" + name;
  }
  std::abort();
}

/// The parameters, and zeros for what only a launch knows: enough for what depends on parameters alone.
static Values withoutLaunch(const Kernel &kernel, const Values &params) {
  return kernel.launch(params, std::vector<kernels::Scalar>(kernel.scalarCount(), kernels::Scalar{}));
}

/// The mapped arguments' names.
static std::vector<std::string> mapNames(const Kernel &kernel, const Values &params) {
  std::vector<std::string> names;
  for (const kernels::TensorMap &map : kernel.maps(withoutLaunch(kernel, params), {}))
    names.push_back(std::string(map.arg) + "_map");
  return names;
}

std::string declarations(const Kernel &kernel, const Values &params) {
  std::string text = "struct Params {\n";
  for (const kernels::Param &param : kernel.params)
    text += param.isType ? "  using " + std::string(param.name) + " = " +
                               std::string(infoOf(params.type(param.name)).deviceName) + ";\n"
                         : "  static constexpr int " + std::string(param.name) + " = " +
                               std::to_string(params[param.name]) + ";\n";
  text += "};\nstruct Args {\n";
  for (const Arg &arg : kernel.args)
    text += "  " + declaration(arg, params) + ";\n";
  for (const std::string &map : mapNames(kernel, params))
    text += "  const TensorMap *" + map + ";\n";
  return text + "};\n";
}

std::string bodyOf(const Kernel &kernel) {
  std::string body = std::string(kernel.engine->body) + "<Params";
  for (std::string_view trait : kernel.meaning.traits)
    body += ", " + std::string(trait);
  return body + ">";
}

std::string included(const std::string &path, std::string_view text) {
  return "#line 1 \"/" + path + "\"\n" + withoutIncludes(text);
}

std::string Source::text() const {
  std::string text;
  for (const std::string &path : includes)
    text += included(path, templateText(path));
  return text + own;
}

Source instantiate(const Kernel &kernel, const Values &params, Timing timing) {
  const kernels::Engine &engine = *kernel.engine;
  const bool timed = timing == Timing::Stamps;
  Source source{closureOf("kernels_templates/" + std::string(engine.header)), {}};
  if (timed)
    source.includes.push_back("kernels_templates/device/stamps.cuh");

  std::string signature, arguments;
  auto join = [](std::string &list, const std::string &item) { list += (list.empty() ? "" : ", ") + item; };
  for (const Arg &arg : kernel.args) {
    join(signature, declaration(arg, params));
    join(arguments, std::string(arg.name));
  }
  for (const std::string &map : mapNames(kernel, params)) {
    join(signature, "const __grid_constant__ TensorMap " + map);
    join(arguments, "&" + map);
  }
  if (timed)
    join(signature, "unsigned long long *stamps");

  // The threads of a block depend on the parameters alone, so the compiler may rely on them.
  const kernels::LaunchShape shape = engine.shape(withoutLaunch(kernel, params));
  const std::string name = kernel.instanceName(params), threads = std::to_string(shape.threads);
  const std::string cluster = shape.cluster > 1 ? "\n#if __CUDA_ARCH__ >= 900\n__cluster_dims__(" +
                                                      std::to_string(shape.cluster) + ", 1, 1)\n#endif\n"
                                                : " ";
  const std::string resident =
      engine.waitsItself ? ", " + std::to_string(kernels::residentBlocks(shape)) : std::string();
  // Where the compiler keeps values in memory for the sake of more blocks, Nvrtc::compile asks for one.
  source.own = "#line 1 \"/" + name + "\"\n" + declarations(kernel, params) + "#ifdef " + moreRegisters +
               "\n#define NANO_BOUNDS __launch_bounds__(" + threads +
               ", 1)\n#else\n#define NANO_BOUNDS __launch_bounds__(" + threads + resident +
               ")\n#endif\nextern \"C\" __global__ void NANO_BOUNDS" + cluster + name + "(" + signature +
               ") {\n  extern __shared__ __align__(1024) unsigned char shared[];\n" +
               (timed ? "  stampBegin(stamps);\n" : "") + (engine.waitsItself ? "" : "  waitForProducers();\n") + "  " +
               bodyOf(kernel) + "(Grid{blockIdx.x, gridDim.x}, shared, Args{" + arguments + "});\n" +
               (timed ? "  stampEnd(stamps);\n" : "") + "}\n";
  return source;
}

} // namespace codegen
