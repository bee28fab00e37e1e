#include "runtime/measure/tune.h"

#include "runtime/base/error.h"
#include "runtime/measure/attention_timer.h"
#include "runtime/measure/product_timer.h"

#include <algorithm>
#include <cstdio>
#include <set>

namespace nanort {

std::vector<codegen::Problem> problemsOf(const schema::Program &program, const std::vector<KernelInstance> &kernels) {
  std::vector<codegen::Problem> problems;
  std::set<codegen::Problem> known;
  forEachNode(program, [&](const schema::Node &node) {
    const KernelInstance &instance = kernels[kernelIndexOf(node)];
    const kernels::Meaning &meaning = instance.kernel->meaning;
    if (kernels::catalogue().kernels(meaning.name).size() < 2)
      return;
    codegen::Problem problem{meaning.name, {}};
    for (const kernels::Param &param : meaning.params)
      problem.values.set(param.name, instance.params[param.name]);
    for (std::string_view scalar : {"window", "n"})
      for (uint32_t i = 0; i < argumentsOf(node).size(); ++i)
        if (instance.kernel->args[i].name == scalar)
          problem.values.set(scalar, argumentsOf(node)[i]->i32());
    if (known.insert(problem).second)
      problems.push_back(std::move(problem));
  });
  return problems;
}

Tuning tune(const Plan &plan, uint32_t index, const TuneOptions &options,
            const std::function<void(const std::string &)> &progress) {
  const schema::Program &program = plan.program(index);
  cuda::Workbench bench(options.device, program.target()->str(), options.rounds, options.cacheDir, options.noCache);
  cuda::ProductTimer products(bench);
  cuda::AttentionTimer attentions(bench);
  Tuning result{
      program.target()->str(), bench.gpu.name(), cuda::versionText(bench.gpu.driver().version()), bench.compiler(), {}};
  auto refused = [&](const std::string &why) { progress("not measured: " + why.substr(0, why.find('\n'))); };
  // A problem of few choices is no choice, unless a library is one.
  std::vector<codegen::Problem> problems = problemsOf(program, plan.kernels(index));
  std::erase_if(problems, [&](const codegen::Problem &problem) {
    return codegen::choicesFor(problem, result.target).size() < 2 && !problem.meaning.starts_with("product");
  });
  if (problems.empty())
    fail(Exit::Usage, plan.path().string() + ": program " + result.target +
                          " computes no matrix product, and no attention that more than one engine serves: there is " +
                          "nothing to measure");
  int algorithms = codegen::libraryAlgorithms;
  try {
    cuda::findCublasLt(bench.gpu.driver().version());
  } catch (const Error &error) { // the kernels can be measured without it
    refused(error.what());
    algorithms = 0;
  }
  for (size_t i = 0; i < problems.size(); ++i) {
    const codegen::Problem &problem = problems[i];
    const std::vector<cuda::KernelTime> times =
        problem.meaning.starts_with("product")
            ? products.time(problem, codegen::servedByLibrary(problem) ? algorithms : 0, refused)
        : problem.meaning == "attention_chunk" ? attentions.chunk(problem, refused)
                                               : attentions.step(problem, refused);
    if (times.empty())
      fail(Exit::Cuda, "nothing that could serve " + problem.text() + " runs on " + bench.gpu.name());
    const auto best =
        std::min_element(times.begin(), times.end(), [](const auto &a, const auto &b) { return a.us < b.us; });
    char us[64];
    std::snprintf(us, sizeof us, "%.2f us, of %zu", best->us, times.size());
    progress(std::to_string(i + 1) + " of " + std::to_string(problems.size()) + ": " + problem.text() + ": " +
             best->choice + ", " + us);
    for (const cuda::KernelTime &time : times)
      result.times.push_back({problem.text(), time.choice, time.us});
  }
  return result;
}

} // namespace nanort
