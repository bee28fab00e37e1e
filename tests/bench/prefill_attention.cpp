// TFLOP/s of attention over whole prompts by this project's kernels, 16 heads of 128: what can serve it takes turns.
//   prefill_attention [--device N] [--rounds N] PROMPTSxTOKENS[xWINDOW]...   (default: 8x2048 1x2048 8x2048x512)
// Each figure is the median of a graph of 20 launches on random data; 4 x 16 x 128 FLOPs a query and key that it sees.
// Prints a table and, last, a JSON line.
#include "codegen/Cache.h"
#include "codegen/Choices.h"
#include "codegen/Instantiate.h"
#include "codegen/Nvrtc.h"
#include "runtime/base/error.h"
#include "runtime/cuda/graph.h"
#include "runtime/cuda/memory.h"
#include "runtime/cuda/product_timer.h"
#include "runtime/cuda/tensor_map.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>

using namespace nanort;
using namespace nanort::cuda;

namespace {

constexpr int64_t heads = 16, dim = 128;
constexpr uint32_t chain = 20;
constexpr const char *target = "sm_90a";

/// Device memory: zeros, or the contents of a host array.
class Array {
public:
  Array(const Device &device, uint64_t bytes) : device(device) {
    device.driver().check(device.driver().cuMemAlloc(&address, bytes), "cuMemAlloc", "operand");
    device.driver().cuMemsetD8Async(address, 0, bytes, device.stream());
  }
  template <typename T>
  Array(const Device &device, Staging &staging, const std::vector<T> &values)
      : Array(device, values.size() * sizeof(T)) { // complete from here on: freed if what follows throws
    staging.write(address, values.data(), values.size() * sizeof(T));
  }
  ~Array() { device.driver().cuMemFree(address); }
  Array(const Array &) = delete;
  Array &operator=(const Array &) = delete;

  DevicePtr address = 0;

private:
  const Device &device;
};

/// Of N(0, 1), in bf16.
std::vector<uint16_t> noise(size_t count, unsigned seed) {
  std::vector<uint16_t> values(count);
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal;
  for (uint16_t &value : values) {
    const float x = normal(generator);
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    value = static_cast<uint16_t>(bits >> 16);
  }
  return values;
}

struct Shape {
  int64_t prompts, tokens, window; // keys of the past that a token sees besides its own
  double flops() const {
    double pairs = 0;
    for (int64_t t = 0; t < tokens; ++t)
      pairs += static_cast<double>(std::min(t, window) + 1);
    return 4.0 * heads * dim * static_cast<double>(prompts) * pairs;
  }
};

class Attention {
public:
  explicit Attention(int ordinal)
      : device(Driver::require(), ordinal), staging(device), clock(device), cache(codegen::Cache::open({})) {
    if (!cubinFits(*parseArch(target), device.arch()))
      fail(Exit::Device, std::string("attention_prefill is for ") + target + ", and " + device.name() + " is none");
    std::string reason;
    if (!(nvrtc = codegen::Nvrtc::open(reason)))
      fail(Exit::Device, "prefill_attention compiles kernels, and there is no NVRTC: " + reason);
  }
  ~Attention() { device.bind(); }

  struct Time {
    std::string choice;
    double us;
  };
  std::vector<Time> time(const Shape &shape, int rounds);
  const Device &gpu() const { return device; }

private:
  Device device;
  Staging staging;
  EventClock clock;
  codegen::Cache cache;
  std::unique_ptr<codegen::Nvrtc> nvrtc;
};

std::vector<Attention::Time> Attention::time(const Shape &shape, int rounds) {
  device.makeCurrent();
  const Driver &driver = device.driver();
  const int64_t n = shape.prompts * shape.tokens, ring = shape.window + 1;
  const codegen::Problem problem =
      problemOf(codegen::Attention{kernels::DType::BF16, n, heads, heads, dim, ring, shape.window});

  const auto elements = static_cast<size_t>(n * heads * dim);
  std::vector<int32_t> row(static_cast<size_t>(n)), position(row), start(static_cast<size_t>(shape.prompts));
  for (int64_t t = 0; t < n; ++t) {
    row[static_cast<size_t>(t)] = static_cast<int32_t>(t / shape.tokens);
    position[static_cast<size_t>(t)] = static_cast<int32_t>(t % shape.tokens);
  }
  const Array q(device, staging, noise(elements, 1)), k(device, staging, noise(elements, 2)),
      v(device, staging, noise(elements, 3)), y(device, elements * 2),
      kv(device, static_cast<uint64_t>(shape.prompts * 2 * heads * ring * dim) * 2), rows(device, staging, row),
      positions(device, staging, position), starts(device, staging, start);

  struct Candidate {
    std::string choice;
    std::unique_ptr<Image> image;
    std::unique_ptr<Graph> graph; // goes first
    std::vector<double> us;
  };
  std::vector<Candidate> candidates;
  for (const codegen::Choice &choice :
       choicesFor(codegen::Attention{kernels::DType::BF16, n, heads, heads, dim, ring, shape.window}, target)) {
    if (choice.stem != "attention_prefill")
      continue; // the general template is no contender
    std::string why;
    codegen::Instance instance = *codegen::instanceOf(problem, choice, target, why);
    instance.scalars[1].f = 1 / std::sqrt(static_cast<float>(dim));
    const std::string name = codegen::kernelName(*instance.family, instance.params);
    const std::vector<char> image =
        cache.compile(*nvrtc, name, codegen::instantiate(*instance.family, instance.params), target);
    const kernels::LaunchShape launch = instance.family->shape(instance.params, instance.scalars);
    Candidate &candidate =
        candidates.emplace_back(choice.text(), std::make_unique<Image>(device, image, name, launch.sharedBytes),
                                std::make_unique<Graph>(device));
    DevicePtr places[] = {q.address,    k.address,         v.address,      kv.address,
                          rows.address, positions.address, starts.address, y.address};
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
    for (uint32_t i = 0; i < chain; ++i) {
      const GraphEdge edge{i - 1, false};
      candidate.graph->addKernel(
          {candidate.image->function, launch.grid, launch.block, launch.sharedBytes, arguments.data()},
          i == 0 ? std::span<const GraphEdge>() : std::span(&edge, 1), name);
    }
    candidate.graph->instantiate(name);
  }
  if (candidates.empty())
    fail(Exit::Unsupported, "attention_prefill serves no attention of " + std::to_string(n) +
                                " tokens and a window of " + std::to_string(shape.window));
  std::vector<Candidate *> turns;
  for (Candidate &candidate : candidates)
    turns.push_back(&candidate);
  std::mt19937 generator(1);
  for (int round = -1; round < rounds; ++round) { // the first to warm up
    std::shuffle(turns.begin(), turns.end(), generator);
    for (Candidate *candidate : turns) {
      clock.start(candidate->choice);
      candidate->graph->launch(candidate->choice);
      const double us = clock.stopUs(candidate->choice) / chain;
      if (round >= 0)
        candidate->us.push_back(us);
    }
  }
  std::vector<Time> times;
  for (const Candidate &candidate : candidates)
    times.push_back({candidate.choice, median(candidate.us)});
  return times;
}

} // namespace

int main(int argc, char **argv) {
  int ordinal = 0, rounds = 9;
  std::vector<std::string> texts;
  for (int i = 1; i < argc; ++i) {
    const bool more = i + 1 < argc;
    if (more && std::strcmp(argv[i], "--device") == 0)
      ordinal = std::atoi(argv[++i]);
    else if (more && std::strcmp(argv[i], "--rounds") == 0)
      rounds = std::max(1, std::atoi(argv[++i]));
    else
      texts.push_back(argv[i]);
  }
  if (texts.empty())
    texts = {"8x2048", "1x2048", "8x2048x512"};
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
      for (const Attention::Time &time : attention.time(shapes[i], rounds)) {
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
