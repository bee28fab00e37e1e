// TFLOP/s of attention over whole prompts by this project's kernels, 16 heads of 128: what can serve it takes turns.
//   prefill_attention [--device N] [--rounds N] [PROMPTSxTOKENS[xWINDOW]...]
// Each figure is the median of a graph of 20 launches on random data; 4 x 16 x 128 FLOPs a query and key that it sees.
// Prints a table and, last, a JSON line.
#include "codegen/Cache.h"
#include "codegen/Choices.h"
#include "codegen/Instantiate.h"
#include "codegen/Nvrtc.h"
#include "runtime/base/error.h"
#include "runtime/cuda/tensor_map.h"
#include "runtime/cuda/timing.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

using namespace nanort;
using namespace nanort::cuda;

namespace {

constexpr int64_t heads = 16, dim = 128;
constexpr uint32_t chain = 20; // launches
constexpr const char *target = "sm_90a";

struct Shape {
  int64_t prompts, tokens, window; // keys of the past that a token sees besides its own
  double flops() const {
    double pairs = 0;
    for (int64_t t = 0; t < tokens; ++t)
      pairs += static_cast<double>(std::min(t, window) + 1);
    return 4.0 * heads * dim * static_cast<double>(prompts) * pairs;
  }
};

/// Launches of one kernel, each after the one before.
class KernelChain : public TimedChain {
public:
  KernelChain(const Device &device, const std::string &name, const std::string &choice,
              const std::shared_ptr<const Image> &image, const kernels::LaunchShape &shape, void **arguments)
      : TimedChain(device, name, choice, chain, image) {
    for (uint32_t i = 0; i < chain; ++i) {
      const GraphEdge edge{i - 1, false};
      graph.addKernel({image->function, shape.grid, shape.block, shape.sharedBytes, arguments},
                      i == 0 ? std::span<const GraphEdge>() : std::span(&edge, 1), name);
    }
    graph.instantiate(name);
  }
};

class Attention {
public:
  explicit Attention(int ordinal)
      : device(Driver::require(), ordinal), staging(device), clock(device), cache(codegen::Cache::open({})) {
    if (!cubinFits(*parseArch(target), device.arch()))
      fail(Exit::Device, std::string("attention_prefill is for ") + target + ", and " + device.name() +
                             " is another; run it on an H100 or H200");
    std::string reason;
    if (!(nvrtc = codegen::Nvrtc::open(reason)))
      fail(Exit::Device, "prefill_attention compiles kernels, and there is no NVRTC: " + reason);
  }
  ~Attention() { device.bind(); }

  std::vector<std::unique_ptr<TimedChain>> time(const Shape &shape, int rounds);
  const Device &gpu() const { return device; }

private:
  Device device;
  Staging staging;
  EventClock clock;
  codegen::Cache cache;
  std::unique_ptr<codegen::Nvrtc> nvrtc;
};

std::vector<std::unique_ptr<TimedChain>> Attention::time(const Shape &shape, int rounds) {
  device.makeCurrent();
  const Driver &driver = device.driver();
  const int64_t n = shape.prompts * shape.tokens, ring = shape.window + 1;
  const codegen::Attention attention{kernels::DType::BF16, n, heads, heads, dim, ring, shape.window};

  std::vector<int32_t> row(static_cast<size_t>(n)), position(row);
  for (int64_t t = 0; t < n; ++t) {
    row[static_cast<size_t>(t)] = static_cast<int32_t>(t / shape.tokens);
    position[static_cast<size_t>(t)] = static_cast<int32_t>(t % shape.tokens);
  }
  const auto bytes = static_cast<uint64_t>(n * heads * dim) * 2;
  const Operand counters(device, sizeof(uint32_t)), q(device, staging, bytes), k(device, staging, bytes, 300'000),
      v(device, staging, bytes, 700'000), y(device, bytes),
      kv(device, static_cast<uint64_t>(shape.prompts * 2 * heads * ring * dim) * 2),
      rows(device, row.size() * sizeof(int32_t)), positions(device, position.size() * sizeof(int32_t)),
      starts(device, static_cast<uint64_t>(shape.prompts) * sizeof(int32_t)); // 0: no older keys
  staging.write(rows.address, row.data(), row.size() * sizeof(int32_t));
  staging.write(positions.address, position.data(), position.size() * sizeof(int32_t));

  std::vector<std::unique_ptr<TimedChain>> chains;
  for (const codegen::Choice &choice : choicesFor(attention, target)) {
    if (choice.stem != "attention_prefill")
      continue; // the general template is no contender
    std::string why;
    codegen::Instance instance = *codegen::instanceOf(problemOf(attention), choice, target, why);
    instance.scalars[1].f = 1 / std::sqrt(static_cast<float>(dim));
    const std::string name = codegen::kernelName(*instance.family, instance.params);
    const kernels::LaunchShape launch = instance.family->shape(instance.params, instance.scalars);
    const auto image = std::make_shared<const Image>(
        device, cache.compile(*nvrtc, name, codegen::instantiate(*instance.family, instance.params), target), name,
        launch.sharedBytes);
    DevicePtr places[] = {q.address,         k.address,      v.address,        kv.address, rows.address,
                          positions.address, starts.address, counters.address, y.address};
    std::vector<void *> arguments;
    for (DevicePtr &place : places)
      arguments.push_back(&place);
    for (kernels::Scalar &scalar : instance.scalars)
      arguments.push_back(&scalar);
    TensorMapStore maps;
    const kernels::Limits limits{static_cast<uint64_t>(n), static_cast<uint64_t>(shape.prompts), 1,
                                 static_cast<uint64_t>(shape.tokens)};
    for (const auto &[arg, map] : kernels::tensorMaps(*instance.family, instance.params, instance.scalars, limits))
      arguments.push_back(&maps.emplace_back(encode(driver, map, kernels::DType::BF16, places[arg], name)));
    chains.push_back(std::make_unique<KernelChain>(device, name, choice.text(), image, launch, arguments.data()));
  }
  if (chains.empty())
    fail(Exit::Unsupported, "attention_prefill serves no attention of " + std::to_string(n) +
                                " tokens and a window of " + std::to_string(shape.window));
  takeTurns(chains, clock, rounds);
  return chains;
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
    Attention attention(ordinal);
    nlohmann::ordered_json json = {{"device", attention.gpu().name()}, {"results", nlohmann::ordered_json::array()}};
    std::printf("%-24s %10s %8s  %s\n", "prompts x tokens[x window]", "us", "TFLOP/s", "by");
    for (size_t i = 0; i < shapes.size(); ++i) {
      for (const auto &timed : attention.time(shapes[i], rounds)) {
        const double us = timed->us(), rate = shapes[i].flops() / us / 1e6;
        std::printf("%-26s %10.2f %8.0f  %s\n", texts[i].c_str(), us, rate, timed->choice.c_str());
        json["results"].push_back({{"shape", texts[i]}, {"us", us}, {"tflops", rate}, {"choice", timed->choice}});
      }
    }
    std::printf("%s\n", json.dump().c_str());
    return 0;
  } catch (const Error &error) {
    std::fprintf(stderr, "prefill_attention: %s\n", error.what());
    return static_cast<int>(error.code);
  }
}
