// TFLOP/s of attention over whole prompts by this project's kernels, 16 heads of 128: what can serve it takes turns.
//   prefill_attention [--device N] [--rounds N] [PROMPTSxTOKENS[xWINDOW]...]
// Each figure is the median of a graph of 20 launches on random data; 4 x 16 x 128 FLOPs a query and key that it sees.
// Prints a table and, last, a JSON line.
#include "runtime/base/error.h"
#include "runtime/measure/attention_timer.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

using namespace nanort;
using namespace nanort::cuda;

namespace {

constexpr int64_t heads = 16, dim = 128;

struct Shape {
  int64_t prompts, tokens, window; // keys of the past that a token sees besides its own
  double flops() const {
    double pairs = 0;
    for (int64_t t = 0; t < tokens; ++t)
      pairs += static_cast<double>(std::min(t, window) + 1);
    return 4.0 * heads * dim * static_cast<double>(prompts) * pairs;
  }
};

/// Of tensor cores: the general engine is no contender. Each launch comes after the end of the one before.
std::vector<KernelTime> timesOf(AttentionTimer &timer, const Shape &shape) {
  const int64_t n = shape.prompts * shape.tokens;
  const codegen::Problem attention{"attention_chunk",
                                   {{"T", static_cast<int64_t>(kernels::DType::BF16)},
                                    {"heads", heads},
                                    {"kv_heads", heads},
                                    {"D", dim},
                                    {"ring", shape.window + 1},
                                    {"window", shape.window},
                                    {"n", n},
                                    {"rows", shape.prompts}}};
  const auto times = timer.chunk(attention, [](const std::string &why) { std::fprintf(stderr, "%s\n", why.c_str()); },
                                 {.count = shape.prompts, .general = false, .early = false});
  if (times.empty())
    fail(Exit::Unsupported, "no engine on tensor cores serves an attention of " + std::to_string(n) +
                                " tokens and a window of " + std::to_string(shape.window));
  return times;
}

} // namespace

int main(int argc, char **argv) {
  int ordinal = 0, rounds = 9;
  std::vector<std::string> texts = {"8x2048", "1x2048", "8x2048x512"};
  CLI::App app("TFLOP/s of attention over whole prompts, 16 heads of 128");
  app.add_option("--device", ordinal, "CUDA device")->capture_default_str();
  app.add_option("--rounds", rounds, "Times that every choice is measured")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("shapes", texts, "PROMPTSxTOKENS[xWINDOW]")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  std::vector<Shape> shapes;
  for (const std::string &text : texts) {
    constexpr long long most = 1 << 20;
    long long prompts = 0, tokens = 0, window = 0;
    int end = 0;
    if (std::sscanf(text.c_str(), "%lldx%lld%n", &prompts, &tokens, &end) == 2 && text[end] == 'x')
      std::sscanf(text.c_str(), "%lldx%lldx%lld%n", &prompts, &tokens, &window, &end);
    else
      window = tokens;
    if (static_cast<size_t>(end) != text.size() || prompts < 1 || prompts > most || tokens < 64 || tokens > most ||
        prompts * tokens > most || window < 1 || window > tokens) {
      std::fprintf(stderr,
                   "prefill_attention: %s is not PROMPTSxTOKENS[xWINDOW] with at least 64 tokens a prompt, 2^20 in "
                   "all, and a window of 1 to TOKENS\n",
                   text.c_str());
      return 2;
    }
    shapes.push_back({prompts, tokens, window});
  }
  try {
    Workbench bench(ordinal, "sm_90a", rounds, {}, false);
    AttentionTimer timer(bench);
    nlohmann::ordered_json json = {{"device", bench.gpu.name()}, {"results", nlohmann::ordered_json::array()}};
    std::printf("%-24s %10s %8s  %s\n", "prompts x tokens[x window]", "us", "TFLOP/s", "by");
    for (size_t i = 0; i < shapes.size(); ++i) {
      for (const KernelTime &time : timesOf(timer, shapes[i])) {
        const double rate = shapes[i].flops() / time.us / 1e6;
        std::printf("%-26s %10.2f %8.0f  %s\n", texts[i].c_str(), time.us, rate, time.choice.c_str());
        json["results"].push_back({{"shape", texts[i]}, {"us", time.us}, {"tflops", rate}, {"choice", time.choice}});
      }
    }
    std::printf("%s\n", json.dump().c_str());
    return 0;
  } catch (const Error &error) {
    std::fprintf(stderr, "prefill_attention: %s\n", error.what());
    return static_cast<int>(error.code);
  }
}
