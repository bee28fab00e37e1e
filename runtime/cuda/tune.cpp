#include "runtime/cuda/tune.h"

#include "codegen/Registry.h"
#include "runtime/base/error.h"
#include "runtime/cuda/attention_timer.h"
#include "runtime/cuda/product_timer.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

namespace nanort {

static int64_t paramOf(const schema::Kernel &kernel, std::string_view name, int64_t otherwise) {
  for (const schema::Param *param : *kernel.params())
    if (param->name()->string_view() == name)
      return param->value();
  return otherwise;
}

/// An I32 argument of a launch; `otherwise` if its family has none of the name.
static int64_t scalarOf(const schema::Kernel &kernel, const schema::Node &node, std::string_view name,
                        int64_t otherwise) {
  const auto &args = codegen::findFamily(kernel.family()->string_view())->args;
  for (size_t i = 0; i < args.size(); ++i)
    if (args[i].name == name)
      return argumentsOf(node)[static_cast<uint32_t>(i)]->i32();
  return otherwise;
}

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
    const schema::Kernel &kernel = *program.kernels()->Get(kernelIndexOf(node));
    const bool library = node.work_as_Library();
    std::optional<std::string> epilogue = library ? "" : epilogueOf(kernel.family()->string_view());
    if (!epilogue)
      return;
    auto value = [&](std::string_view name, int64_t otherwise) { return paramOf(kernel, name, otherwise); };
    const int64_t in = value("T", 0);
    codegen::Product product{*epilogue,
                             static_cast<kernels::DType>(in),
                             static_cast<kernels::DType>(value("O", in)),
                             value("M", 0),
                             value("N", 0),
                             value("K", 0),
                             value("norm", 0) != 0,
                             value("relu2", 0) != 0};
    product.rows = scalarOf(kernel, node, "n", product.rows);
    std::string key = product.epilogue;
    for (int64_t part : {in, static_cast<int64_t>(product.out), product.rows, product.columns, product.depth,
                         static_cast<int64_t>(product.norm), static_cast<int64_t>(product.relu2)})
      key += "," + std::to_string(part);
    if (known.insert(key).second)
      products.push_back(std::move(product));
  });
  return products;
}

/// Nullopt if the launch is none of an attention's.
static std::optional<AnyAttention> attentionOf(const schema::Kernel &kernel, const schema::Node &node) {
  const std::string_view family = kernel.family()->string_view();
  const bool step = family.starts_with("attention_decode") || family.starts_with("attention_batch");
  const bool chunk = family == "attention" || family == "attention_prefill" || family == "attention_mma";
  if (!node.work_as_Launch() || (!step && !chunk))
    return std::nullopt;
  auto value = [&](std::string_view name) { return paramOf(kernel, name, 0); };
  const auto in = static_cast<kernels::DType>(value("T"));
  const int64_t n = scalarOf(kernel, node, "n", 0), window = scalarOf(kernel, node, "window", 0);
  if (!step)
    return codegen::Attention{in, n, value("heads"), value("kv_heads"), value("D"), value("ring"), window};
  return codegen::DecodeAttention{in,
                                  static_cast<kernels::DType>(value("P")),
                                  n,
                                  value("heads"),
                                  value("kv_heads"),
                                  value("D"),
                                  value("ring"),
                                  window,
                                  value("C"),
                                  value("channels")};
}

std::vector<AnyAttention> attentionsOf(const schema::Program &program) {
  std::vector<AnyAttention> attentions;
  std::map<codegen::Problem, size_t> known; // with a window of 0
  forEachNode(program, [&](const schema::Node &node) {
    std::optional<AnyAttention> attention = attentionOf(*program.kernels()->Get(kernelIndexOf(node)), node);
    if (!attention)
      return;
    auto windowOf = [](AnyAttention &any) -> int64_t & {
      return std::visit([](auto &a) -> int64_t & { return a.window; }, any);
    };
    AnyAttention bare = *attention;
    windowOf(bare) = 0;
    auto [entry, fresh] =
        known.try_emplace(std::visit([](const auto &a) { return codegen::problemOf(a); }, bare), attentions.size());
    if (fresh)
      attentions.push_back(*attention);
    int64_t &window = windowOf(attentions[entry->second]);
    window = std::max(window, windowOf(*attention));
  });
  return attentions;
}

/// "attention of 8 rows, 16 heads of 128, window 2048"
static std::string textOf(const codegen::Attention &a, const char *slots = "tokens") {
  return "attention of " + std::to_string(a.tokens) + " " + slots + ", " + std::to_string(a.heads) + " heads of " +
         std::to_string(a.dim) + ", window " + std::to_string(a.window);
}
static std::string textOf(const codegen::DecodeAttention &a) {
  return textOf({a.in, a.tokens, a.heads, a.kvHeads, a.dim, a.ring, a.window}, "rows") + (a.channels ? ", gated" : "");
}

static void tuneAttentions(const std::vector<AnyAttention> &attentions, cuda::Workbench &bench, Tuning &result,
                           const std::function<void(const std::string &)> &progress) {
  cuda::AttentionTimer timer(bench);
  auto refused = [&](const std::string &why) { progress("not measured: " + why.substr(0, why.find('\n'))); };
  for (size_t i = 0; i < attentions.size(); ++i)
    std::visit(
        [&](const auto &a) {
          const std::vector<cuda::KernelTime> times = timer.time(a, refused);
          if (times.empty())
            fail(Exit::Cuda, "no kernel that could serve an attention of the plan runs on " + bench.gpu.name());
          const auto best =
              std::min_element(times.begin(), times.end(), [](const auto &x, const auto &y) { return x.us < y.us; });
          char us[64];
          std::snprintf(us, sizeof us, "%.2f us, of %zu", best->us, times.size());
          progress(std::to_string(i + 1) + " of " + std::to_string(attentions.size()) + ": " + textOf(a) + ": " +
                   best->choice + ", " + us);
          for (const cuda::KernelTime &time : times)
            result.kernels.push_back({time.kernel, time.choice, a.tokens, time.us});
        },
        attentions[i]);
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
  std::vector<AnyAttention> attentions = attentionsOf(program);
  std::erase_if(attentions, [&](const AnyAttention &any) {
    return std::visit([&](const auto &a) { return codegen::choicesFor(a, result.target).size() < 2; }, any);
  });
  if (products.empty() && attentions.empty())
    fail(Exit::Usage, plan.path().string() + ": program " + result.target +
                          " computes no matrix product, and no attention that more than one kernel serves: there is " +
                          "nothing to measure");
  for (size_t i = 0; i < products.size(); ++i) {
    const codegen::Product &p = products[i];
    auto refused = [&](const std::string &why) { progress("not measured: " + why.substr(0, why.find('\n'))); };
    uint32_t algorithms = codegen::isPlain(p) ? codegen::libraryAlgorithms : 0;
    try {
      if (algorithms > 0)
        cuda::findCublasLt(timer.device().driver().version());
    } catch (const Error &error) { // the kernels can be measured without it
      refused(error.what());
      algorithms = 0;
    }
    const auto times = timer.time(p, static_cast<int>(algorithms), refused);
    if (times.empty())
      fail(Exit::Cuda, "no kernel that could serve a product of the plan runs on " + timer.device().name());
    const auto best =
        std::min_element(times.begin(), times.end(), [](const auto &a, const auto &b) { return a.us < b.us; });
    char line[256];
    std::snprintf(line, sizeof line, "%zu of %zu: %lld x %lld x %lld%s: %s, %.2f us, of %zu", i + 1, products.size(),
                  static_cast<long long>(p.rows), static_cast<long long>(p.columns), static_cast<long long>(p.depth),
                  p.epilogue.c_str(), best->choice.c_str(), best->us, times.size());
    progress(line);
    uint32_t algorithm = 0;
    for (const auto &time : times) {
      const bool library = time.kernel == "cublaslt";
      result.kernels.push_back({library ? codegen::libraryKernelName(p, timer.library(), algorithm++) : time.kernel,
                                library ? "cublaslt " + time.choice : time.choice, p.rows, time.us});
    }
  }
  tuneAttentions(attentions, bench, result, progress);
  return result;
}

} // namespace nanort
