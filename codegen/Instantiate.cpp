#include "codegen/Instantiate.h"

#include "codegen/DeviceModel.h"
#include "codegen/Nvrtc.h"
#include "codegen/Templates.h"

#include <algorithm>
#include <array>

namespace codegen {

using kernels::ArgDecl;
using kernels::ArgKind;
using kernels::DType;
using kernels::Family;
using kernels::Params;

/// A type as device code spells it.
static std::string_view deviceType(DType type) {
  constexpr std::string_view names[] = {"float", "bf16", "int", "unsigned"};
  return names[static_cast<unsigned>(type)];
}

static std::string declaration(const ArgDecl &arg, const Params &params) {
  std::string name(arg.name);
  switch (arg.kind) {
  case ArgKind::I32:
    return "int " + name;
  case ArgKind::F32:
    return "float " + name;
  case ArgKind::Condition:
    return "unsigned long long " + name;
  case ArgKind::In:
    return "const " + std::string(deviceType(elementType(arg, params))) + " *" + name;
  default:
    return std::string(deviceType(elementType(arg, params))) + " *" + name;
  }
}

static void appendJoined(std::string &text, const std::string &item) {
  if (text.back() != '(' && text.back() != '<')
    text += ", ";
  text += item;
}

std::string kernelName(const Family &family, const Params &params) {
  std::string name(family.name);
  for (const kernels::ParamDecl &param : family.params)
    name += "_" + (param.isType ? std::string(nameOf(params.type(param.name))) : std::to_string(params[param.name]));
  return name;
}

static uint32_t threadsOf(const kernels::LaunchShape &shape) {
  return shape.block[0] * shape.block[1] * shape.block[2];
}

// Kernels that start before their producers end leave these half of an SM's registers: two blocks of 288 threads fit,
// or up to four of 128, as many as their shared memory lets.
uint32_t residentBlocks(const kernels::LaunchShape &shape) {
  const uint32_t fitting = std::max(2u, 2 * halfSmShared / std::max(1u, shape.sharedBytes));
  return std::min(std::clamp(576 / threadsOf(shape), 1u, 4u), fitting);
}

std::string instantiate(const Family &family, const Params &params, Timing timing) {
  const bool timed = timing == Timing::Stamps;
  std::string source;
  const std::string own = std::string(family.name) + "/kernel.cuh";
  for (const Template &part : allTemplates()) {
    if (part.path != own && !part.path.starts_with("common/"))
      continue;
    if (part.path == "common/stamps.cuh" && !timed)
      continue;
    // Line numbers in logs and profilers then are those of the repository's files.
    source += "#line 1 \"" + std::string(part.path) + "\"\n" + std::string(part.text) + "\n";
  }

  std::string call = std::string(family.name) + "<", signature = "(", arguments = "(";
  for (const kernels::ParamDecl &param : family.params)
    appendJoined(call,
                 param.isType ? std::string(deviceType(params.type(param.name))) : std::to_string(params[param.name]));
  for (const ArgDecl &arg : family.args) {
    appendJoined(signature, declaration(arg, params));
    appendJoined(arguments, std::string(arg.name));
  }
  for (const ArgDecl &arg : family.args)
    if (arg.mapped) {
      const std::string name = std::string(arg.name) + "_map";
      appendJoined(signature, "const __grid_constant__ TensorMap " + name);
      appendJoined(arguments, "&" + name);
    }
  if (timed)
    appendJoined(signature, "unsigned long long *stamps");

  // A family's block size depends on its parameters alone, so the compiler may rely on it.
  const std::array<kernels::Scalar, 8> none{};
  const size_t scalars =
      std::count_if(family.args.begin(), family.args.end(), [](const ArgDecl &arg) { return isScalar(arg.kind); });
  const kernels::LaunchShape shape = family.shape(params, std::span(none).first(scalars));
  const std::string name = kernelName(family, params);
  const std::string cluster = shape.cluster > 1 ? "\n#if __CUDA_ARCH__ >= 900\n__cluster_dims__(" +
                                                      std::to_string(shape.cluster) + ", 1, 1)\n#endif\n"
                                                : " ";
  const std::string resident = family.waitsItself ? ", " + std::to_string(residentBlocks(shape)) : std::string();
  std::string body = (family.waitsItself ? "  " : "  waitForProducers();\n  ") + call + ">" + arguments + ");\n";
  if (timed)
    body = "  stampBegin(stamps);\n" + body + "  stampEnd(stamps);\n";
  // Where the compiler keeps values in memory for the sake of more blocks, Nvrtc::compile asks for one.
  const std::string threads = std::to_string(threadsOf(shape));
  source += "#ifdef " + std::string(moreRegisters) + "\n#define NANO_BOUNDS __launch_bounds__(" + threads +
            ", 1)\n#else\n#define NANO_BOUNDS __launch_bounds__(" + threads + resident + ")\n#endif\n";
  source += "#line 1 \"" + name + "\"\nextern \"C\" __global__ void NANO_BOUNDS" + cluster + name + signature +
            ") {\n" + body + "}\n";
  return source;
}

std::string checkTarget(const std::string &target) {
  constexpr std::string_view targets[] = {"cpu", "sm_80", "sm_86", "sm_89", "sm_90a", "sm_100a", "sm_103a", "sm_120a"};
  std::string list;
  for (std::string_view known : targets) {
    if (target == known)
      return "";
    list += (list.empty() ? "" : ", ") + std::string(known);
  }
  return "target '" + target + "' is not one of " + list;
}

} // namespace codegen
