#include "runtime/executor/host_math.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <stdexcept>
#include <vector>

namespace {

using kernels::DType;

std::vector<float> wave(size_t count, double step) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i)
    values[i] = static_cast<float>(std::sin(step * static_cast<double>(i) + 0.3));
  return values;
}

TEST(HostMath, LoopCoversEveryIndexOnce) {
  for (int threads : {1, 2, 7}) {
    auto math = nanort::makeHostMath(threads);
    for (int64_t count : {0, 1, 5, 64, 1000})
      for (int64_t grain : {0, 1, 3, 2000}) {
        std::vector<std::atomic<int>> visits(count);
        math->parallelFor(count, grain, [&](int64_t begin, int64_t end) {
          ASSERT_LT(begin, end);
          for (int64_t i = begin; i < end; ++i)
            ++visits[i];
        });
        for (auto &visit : visits)
          ASSERT_EQ(visit, 1) << threads << " threads, count " << count << ", grain " << grain;
      }
  }
}

TEST(HostMath, NestedLoopsAndExceptionsEnd) {
  auto math = nanort::makeHostMath(4);
  std::atomic<int> sum = 0;
  math->parallelFor(10, 1, [&](int64_t begin, int64_t end) {
    math->parallelFor(10 * (end - begin), 1, [&](int64_t b, int64_t e) { sum += static_cast<int>(e - b); });
  });
  EXPECT_EQ(sum, 100);
  auto broken = [&] {
    math->parallelFor(100, 1, [](int64_t begin, int64_t end) {
      if (begin <= 50 && 50 < end)
        throw std::runtime_error("no");
    });
  };
  EXPECT_THROW(broken(), std::runtime_error);
  math->parallelFor(1, 1, [&](int64_t, int64_t) { sum = 0; });
  EXPECT_EQ(sum, 0);
}

TEST(HostMath, GemmIsTheProduct) {
  auto math = nanort::makeHostMath(3);
  for (auto [m, n, k] : {std::tuple{1, 1, 1}, {1, 65, 33}, {4, 64, 100}, {5, 63, 31}, {37, 200, 96}, {128, 129, 512}})
    for (DType type : {DType::F32, DType::BF16, DType::F8E4M3}) {
      const std::vector<float> x = wave(size_t(m) * k, 0.37), values = wave(size_t(n) * k, 0.51);
      std::vector<std::byte> w(bytesOf(type, values.size()));
      kernels::byFloat(type, "w", [&](auto zero) {
        using T = decltype(zero);
        std::transform(values.begin(), values.end(), reinterpret_cast<T *>(w.data()), kernels::fromFloat<T>);
      });
      std::vector<float> y(size_t(m) * n, NAN);
      math->gemm(m, n, k, x.data(), w.data(), type, y.data());
      for (int i = 0; i < m; ++i)
        for (int j = 0; j < n; ++j) {
          double want = 0;
          for (int p = 0; p < k; ++p)
            want += double(x[i * k + p]) * kernels::floatAt(type, w.data(), j * k + p);
          // k products of magnitude up to 1, each rounded once in a sum below k.
          ASSERT_NEAR(y[i * n + j], want, k * 0x1p-24 * std::sqrt(k) + 1e-7)
              << m << "x" << n << "x" << k << " " << nameOf(type) << " at " << i << "," << j;
        }
    }
}

TEST(HostMath, RowsOfAFewAreThoseOfOne) {
  // Decoding a batch of up to four gives each row the bits it has alone.
  auto math = nanort::makeHostMath(2);
  const int n = 130, k = 77;
  const std::vector<float> x = wave(4 * k, 0.37), w = wave(size_t(n) * k, 0.51);
  std::vector<float> together(4 * n), alone(n);
  math->gemm(4, n, k, x.data(), w.data(), DType::F32, together.data());
  for (int i = 0; i < 4; ++i) {
    math->gemm(1, n, k, x.data() + i * k, w.data(), DType::F32, alone.data());
    EXPECT_EQ(alone, std::vector<float>(together.begin() + i * n, together.begin() + (i + 1) * n));
  }
}

} // namespace
