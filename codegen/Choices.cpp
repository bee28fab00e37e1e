#include "codegen/Choices.h"

#include <algorithm>

namespace codegen {

using kernels::Kernel;
using kernels::Values;

static std::string textOf(const Values &values) {
  std::string text;
  for (const auto &[name, value] : values)
    text += " " + name + "=" + std::to_string(value);
  return text;
}

std::string Problem::text() const {
  const kernels::Meaning *known = kernels::catalogue().meaning(meaning);
  std::string text = meaning;
  auto append = [&](std::string_view name, bool isType) {
    if (const std::optional<int64_t> value = values.find(name))
      text += " " + std::string(name) + "=" +
              (isType ? std::string(nameOf(static_cast<kernels::DType>(*value))) : std::to_string(*value));
  };
  for (const kernels::Param &param : known ? known->params : std::vector<kernels::Param>())
    append(param.name, param.isType);
  for (std::string_view scalar : {"window", "n"})
    append(scalar, false);
  return text;
}

std::string Choice::text() const { return engine + textOf(params); }

std::optional<Instance> instanceOf(const Problem &problem, const Choice &choice, std::string_view target,
                                   std::string &why) {
  Instance instance{kernels::catalogue().kernel(problem.meaning, choice.engine), {}, {}};
  const std::string name = "engine '" + choice.engine + "'";
  if (!instance.kernel) {
    why = "there is no " + name + " for " + problem.meaning;
    return std::nullopt;
  }
  const kernels::Engine *engine = instance.kernel->engine;
  if (why = engine ? kernels::featureFault(target, engine->needs) : ""; !why.empty()) {
    why = name + " " + why;
    return std::nullopt;
  }
  for (const kernels::Param &param : instance.kernel->meaning.params)
    instance.params.set(param.name, problem.values[param.name]);
  std::string known;
  size_t used = 0;
  for (const kernels::Param &param : engine ? engine->params : std::vector<kernels::Param>()) {
    known += (known.empty() ? "" : ", ") + std::string(param.name);
    const std::optional<int64_t> value = choice.params.find(param.name);
    if (!value) {
      why = name + " needs " + std::string(param.name);
      return std::nullopt;
    }
    instance.params.set(param.name, *value);
    ++used;
  }
  if (used != choice.params.size()) {
    why = name + " is spread by " + (known.empty() ? "nothing" : known) + ", once each";
    return std::nullopt;
  }
  if (why = instance.kernel->constraint(instance.params); !why.empty()) {
    why = name + ": " + why;
    return std::nullopt;
  }
  instance.launch = instance.params;
  for (const kernels::Arg &arg : instance.kernel->args)
    if (arg.access == kernels::Access::I32)
      instance.launch.set(arg.name, problem.values.find(arg.name).value_or(0));
  return instance;
}

std::vector<Choice> choicesFor(const Problem &problem, std::string_view target) {
  constexpr size_t offered = 24; // of an engine, the best by prediction
  const kernels::Target *device = kernels::findTarget(target);
  if (!device)
    return {{.engine = ""}};
  std::vector<Choice> choices;
  std::string why;
  for (const Kernel *kernel : kernels::catalogue().kernels(problem.meaning)) {
    const kernels::Engine &engine = *kernel->engine;
    if (!device->has(engine.needs))
      continue;
    std::vector<std::pair<double, Choice>> own;
    for (Values &params :
         engine.candidates ? engine.candidates(*kernel, problem.values, *device) : std::vector(1, Values()))
      if (Choice choice{std::string(engine.name), std::move(params)};
          std::optional<Instance> instance = instanceOf(problem, choice, target, why))
        own.emplace_back(predict(*device, *instance).us(), std::move(choice));
    if (own.size() > offered) {
      std::stable_sort(own.begin(), own.end(), [](const auto &a, const auto &b) { return a.first < b.first; });
      own.erase(own.begin() + offered, own.end());
    }
    for (auto &[us, choice] : own)
      choices.push_back(std::move(choice));
  }
  return choices;
}

bool servedByLibrary(const Problem &problem) { return problem.meaning == "product" && problem.values["norm"] == 0; }

double predictLibraryUs(const kernels::Target &device, const Problem &problem) {
  const Kernel &reference = *kernels::catalogue().kernel(problem.meaning, "");
  const bool tensor = problem.values.type("T") == kernels::DType::BF16;
  return rooflineOf(device, reference.cost(problem.values), tensor, false).us();
}

kernels::Prediction predict(const kernels::Target &device, const Instance &instance, std::optional<bool> early) {
  const Kernel &kernel = *instance.kernel;
  const kernels::LaunchShape shape = instance.shape();
  const bool can = kernel.engine->waitsItself && shape.sharedBytes <= kernels::halfSmShared;
  kernels::Prediction prediction =
      rooflineOf(device, kernel.cost(instance.launch), kernel.tensorCores(instance.params), early.value_or(can));
  if (kernel.engine->predict)
    prediction.tilesUs = kernel.engine->predict({kernel, instance.launch, device, prediction, shape});
  return prediction;
}

} // namespace codegen
