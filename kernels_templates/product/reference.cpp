// What products compute, on the CPU.
#include "kernels_templates/base/reference.h"
#include "kernels_templates/product/product.h"

#include <memory>

namespace kernels {

/// x w^T in f32, each column times its scale if w has scales, each row times rsqrt(mean(x[row]^2) + 2^-23) if `norm`.
static std::unique_ptr<float[]> sumsOf(const ReferenceCall &call) {
  const int64_t rows = call.integer("n"), k = call["K"], columns = call["N"];
  const DType type = call.params.type("T");
  auto wide = std::make_unique_for_overwrite<float[]>(rows * k);
  auto sums = std::make_unique_for_overwrite<float[]>(rows * columns);
  byType(type, [&](auto zero) {
    using T = decltype(zero);
    mapElements(call.math, rows * k, wide.get(), [x = call.at<T>("x")](int64_t i) { return toFloat(x[i]); });
  });
  call.math.gemm(rows, columns, k, wide.get(), call.at<void>("w"), weightType(call.params), sums.get());
  const bool norm = call["norm"] != 0;
  const float *scales = call.params.find("W") ? call.at<float>("scales") : nullptr;
  if (norm || scales)
    call.math.parallelFor(rows, grainOf(k + columns), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const float factor = norm ? normFactor(wide.get() + row * k, k) : 1;
        for (int64_t i = 0; i < columns; ++i)
          sums[row * columns + i] *= factor * (scales ? scales[i] : 1);
      }
    });
  return sums;
}

/// y[i] = of(sums, i), where `of` is what `make` makes for the output's type.
template <typename Make> static void finish(const ReferenceCall &call, Make make) {
  const auto sums = sumsOf(call);
  byType(call.params.type("O"), [&](auto zero) {
    using O = decltype(zero);
    mapElements(call.math, call.integer("n") * call["N"], call.at<O>("y"),
                [&, of = make(zero)](int64_t i) { return of(sums[i], i); });
  });
}

static void plain(const ReferenceCall &call) {
  finish(call, [](auto) { return [](float sum, int64_t) { return sum; }; });
}

static void relu2(const ReferenceCall &call) {
  finish(call, [](auto) {
    return [](float sum, int64_t) { return sum < 0 ? 0 : sum * sum; }; // NaN stays NaN
  });
}

static void add(const ReferenceCall &call) {
  finish(call, [&](auto zero) {
    return [r = call.at<decltype(zero)>("r")](float sum, int64_t i) { return toFloat(r[i]) + sum; };
  });
}

/// `put(i, r + sum)` comes before the mix.
template <typename T, typename Put> static auto mixed(const ReferenceCall &call, Put put) {
  const int32_t layer = call.integer("layer");
  return [=, r = call.at<T>("r"), x0 = call.at<T>("x0"), resid = call.at<float>("resid")[layer],
          skip = call.at<float>("skip")[layer]](float sum, int64_t i) {
    const float value = toFloat(r[i]) + sum;
    put(i, value);
    return resid * value + skip * toFloat(x0[i]);
  };
}

static void mix(const ReferenceCall &call) {
  finish(call, [&](auto zero) { return mixed<decltype(zero)>(call, [](int64_t, float) {}); });
}

static void mixSum(const ReferenceCall &call) {
  finish(call, [&](auto zero) {
    using T = decltype(zero);
    return mixed<T>(call, [sum = call.at<T>("sum")](int64_t i, float value) { sum[i] = fromFloat<T>(value); });
  });
}

static void backout(const ReferenceCall &call) {
  finish(call, [&](auto zero) {
    using T = decltype(zero);
    return [r = call.at<T>("r"), mid = call.at<T>("mid"), lambda = *call.at<float>("lambda")](float sum, int64_t i) {
      return toFloat(r[i]) + sum - lambda * toFloat(mid[i]);
    };
  });
}

Reference reference_product(std::string_view meaning) {
  constexpr std::string_view subject = "product";
  if (!meaning.starts_with(subject))
    return nullptr;
  std::string_view epilogue = meaning.substr(subject.size());
  for (const WeightFormat &format : allWeightFormats())
    if (const std::string name = "_" + std::string(format.name); !format.name.empty() && epilogue.starts_with(name))
      epilogue.remove_prefix(name.size());
  return epilogue == ""           ? plain
         : epilogue == "_relu2"   ? relu2
         : epilogue == "_add"     ? add
         : epilogue == "_mix"     ? mix
         : epilogue == "_mix_sum" ? mixSum
         : epilogue == "_backout" ? backout
                                  : nullptr;
}

} // namespace kernels
