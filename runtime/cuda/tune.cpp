#include "runtime/cuda/tune.h"

#include "codegen/Registry.h"
#include "runtime/base/error.h"
#include "runtime/cuda/product_timer.h"

#include <algorithm>
#include <cstdio>
#include <set>

namespace nanort {

/// "gemm_mix_sum" -> "_mix_sum"; nullopt if the family is none of a product's.
static std::optional<std::string> epilogueOf(std::string_view family) {
  for (std::string_view stem : {"gemv", "wgemm", "gemm"})
    if (family.starts_with(stem))
      return std::string(family.substr(stem.size()));
  return std::nullopt;
}

std::vector<codegen::Product> productsOf(const schema::Program &program) {
  std::vector<codegen::Product> products;
  std::set<std::string> known;
  forEachNode(program, [&](const schema::Node &node) {
    const schema::Kernel &kernel = *program.kernels()->Get(node.kernel());
    std::optional<std::string> epilogue = epilogueOf(kernel.family()->string_view());
    if (!epilogue || node.kind() != schema::NodeKind::Launch)
      return;
    auto value = [&](std::string_view name, int64_t otherwise) {
      for (const schema::Param *param : *kernel.params())
        if (param->name()->string_view() == name)
          return param->value();
      return otherwise;
    };
    const int64_t in = value("T", 0);
    codegen::Product product{*epilogue,
                             static_cast<kernels::DType>(in),
                             static_cast<kernels::DType>(value("O", in)),
                             value("M", 0),
                             value("N", 0),
                             value("K", 0),
                             value("norm", 0) != 0,
                             value("relu2", 0) != 0};
    const auto &args = codegen::findFamily(kernel.family()->string_view())->args;
    for (size_t i = 0; i < args.size(); ++i)
      if (args[i].name == "n")
        product.rows = node.args()->Get(static_cast<uint32_t>(i))->i32();
    std::string key = product.epilogue;
    for (int64_t part : {in, static_cast<int64_t>(product.out), product.rows, product.columns, product.depth,
                         static_cast<int64_t>(product.norm), static_cast<int64_t>(product.relu2)})
      key += "," + std::to_string(part);
    if (known.insert(key).second)
      products.push_back(std::move(product));
  });
  return products;
}

Tuning tune(const Plan &plan, uint32_t index, const TuneOptions &options,
            const std::function<void(const std::string &)> &progress) {
  const schema::Program &program = plan.program(index);
  cuda::Workbench bench(options.device, program.target()->str(), options.rounds, options.cacheDir, options.noCache);
  cuda::ProductTimer timer(bench);
  Tuning result{program.target()->str(),
                timer.device().name(),
                cuda::versionText(timer.device().driver().version()),
                bench.compiler(),
                {}};
  const std::vector<codegen::Product> products = productsOf(program);
  if (products.empty())
    fail(Exit::Usage, plan.path().string() + ": program " + result.target +
                          " computes no product by a kernel of its own (nanocc --fuse none leaves them to cuBLASLt)");
  for (size_t i = 0; i < products.size(); ++i) {
    const codegen::Product &p = products[i];
    const auto times =
        timer.time(p, 0, [&](const std::string &why) { progress("not measured: " + why.substr(0, why.find('\n'))); });
    if (times.empty())
      fail(Exit::Cuda, "no kernel that could serve a product of the plan runs on " + timer.device().name());
    const auto best =
        std::min_element(times.begin(), times.end(), [](const auto &a, const auto &b) { return a.us < b.us; });
    char line[256];
    std::snprintf(line, sizeof line, "%zu of %zu: %lld x %lld x %lld%s: %s, %.2f us, of %zu", i + 1, products.size(),
                  static_cast<long long>(p.rows), static_cast<long long>(p.columns), static_cast<long long>(p.depth),
                  p.epilogue.c_str(), best->choice.c_str(), best->us, times.size());
    progress(line);
    for (const auto &time : times)
      result.kernels.push_back({time.kernel, time.choice, p.rows, time.us});
  }
  return result;
}

} // namespace nanort
