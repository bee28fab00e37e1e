// The best of this project's kernels against the best of cuBLASLt's algorithms: products alone, or with what is named
// fused, against cuBLASLt and a launch of each of these (which are as fast as memory).
//   gemm_vs_cublaslt [--device N] [--rounds N] [--norm] [--relu2 | --add] MxNxK...
// Without shapes: those of a d32 at 512 and 2,048 tokens, and a large one. In shuffled turns, random data, weights not
// in L2 (runtime/measure/product_timer.h). Prints a table and, last, a JSON line.
#include "runtime/base/error.h"
#include "runtime/measure/product_timer.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

using nanort::cuda::ProductTimer;

int main(int argc, char **argv) {
  int device = 0, rounds = 15;
  bool norm = false, relu2 = false, add = false;
  std::vector<std::string> shapes = {"8192x8192x8192", "2048x8192x2048", "2048x2048x8192",
                                     "2048x2048x2048", "512x8192x2048",  "512x6144x2048"};
  CLI::App app("The best of this project's kernels against the best of cuBLASLt's algorithms");
  app.add_option("--device", device, "CUDA device")->capture_default_str();
  app.add_option("--rounds", rounds, "Times that every choice is measured")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--norm", norm, "With the norm of what is multiplied; cuBLASLt behind a launch of it");
  auto *square = app.add_flag("--relu2", relu2, "With relu2 of the product; cuBLASLt and a launch of it");
  app.add_flag("--add", add, "With the sum of a residual and the product; cuBLASLt and a launch of it")
      ->excludes(square);
  app.add_option("shapes", shapes, "MxNxK: tokens, outputs of each, inputs of each")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError &error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    nanort::cuda::Workbench bench(device, "sm_90a", rounds, {}, false);
    ProductTimer timer(bench);
    const bool alone = !norm && !relu2 && !add;
    nlohmann::ordered_json json = {{"device", timer.device().name()},
                                   {"norm", norm},
                                   {"relu2", relu2},
                                   {"add", add},
                                   {"results", nlohmann::ordered_json::array()}};
    std::printf("%-18s %10s %8s %10s %8s %7s  %s\n", "tokens x N x K", "ours us", "TFLOP/s",
                alone ? "cuBLASLt" : "apart", "TFLOP/s", "ratio", "ours");
    for (const std::string &shape : shapes) {
      long long m = 0, n = 0, k = 0;
      if (std::sscanf(shape.c_str(), "%lldx%lldx%lld", &m, &n, &k) != 3 || m < 1 || n < 1 || k < 1) {
        std::fprintf(stderr, "gemm_vs_cublaslt: %s is not MxNxK\n", shape.c_str());
        return 2;
      }
      constexpr auto bf16 = static_cast<int64_t>(kernels::DType::BF16);
      const codegen::Problem product{add     ? "product_add"
                                     : relu2 ? "product_relu2"
                                             : "product",
                                     {{"T", bf16}, {"O", bf16}, {"K", k}, {"N", n}, {"norm", norm}, {"n", m}}};
      const auto times =
          timer.time(product, 16, [](const std::string &why) { std::fprintf(stderr, "%s\n", why.c_str()); });
      const ProductTimer::Time *ours = nullptr, *theirs = nullptr;
      for (const auto &time : times) {
        const ProductTimer::Time *&best = time.kernel == "cublaslt" ? theirs : ours;
        if (!best || time.us < best->us)
          best = &time;
      }
      if (!ours || !theirs) {
        std::fprintf(stderr, "gemm_vs_cublaslt: %s: nothing of %s serves it\n", shape.c_str(),
                     ours ? "cuBLASLt" : "this project");
        continue;
      }
      const double flops = 2e-6 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
      std::printf("%-18s %10.2f %8.0f %10.2f %8.0f %7.3f  %s\n", shape.c_str(), ours->us, flops / ours->us, theirs->us,
                  flops / theirs->us, ours->us / theirs->us, ours->choice.c_str());
      json["results"].push_back({{"shape", shape},
                                 {"us", ours->us},
                                 {"choice", ours->choice},
                                 {"cublaslt_us", theirs->us},
                                 {"cublaslt", theirs->choice}});
    }
    std::printf("%s\n", json.dump().c_str());
    return 0;
  } catch (const nanort::Error &error) {
    std::fprintf(stderr, "gemm_vs_cublaslt: %s\n", error.what());
    return static_cast<int>(error.code);
  }
}
