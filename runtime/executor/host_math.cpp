#include "runtime/executor/host_math.h"

#include "runtime/base/error.h"
#include "runtime/executor/host_gemm.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace nanort {

namespace {

using Body = std::function<void(int64_t, int64_t)>;

class HostMathImpl final : public kernels::HostMath {
public:
  explicit HostMathImpl(int threads) {
    for (int i = 1; i < threads; ++i)
      workers.emplace_back([this] { work(); });
  }

  ~HostMathImpl() override {
    {
      std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_all();
    for (std::thread &worker : workers)
      worker.join();
  }

  void parallelFor(int64_t count, int64_t grain, const Body &body) override {
    if (count <= 0)
      return;
    grain = std::max<int64_t>(grain, 1);
    if (count <= grain || workers.empty() || inside) {
      body(0, count);
      return;
    }
    {
      std::lock_guard lock(mutex);
      job = &body;
      total = count;
      // Four shares a thread even out unequal work.
      share = std::max(grain, count / (4 * (static_cast<int64_t>(workers.size()) + 1)));
      next = 0;
      busy = workers.size();
      failure = nullptr;
      ++generation;
    }
    wake.notify_all();
    runShares();
    std::unique_lock lock(mutex);
    done.wait(lock, [this] { return busy == 0; });
    if (failure)
      std::rethrow_exception(failure);
  }

  void gemm(int64_t m, int64_t n, int64_t k, const float *x, const void *w, kernels::DType wType, float *y) override {
    const int64_t tiles = (n + gemmColumns - 1) / gemmColumns;
    // Waking a thread takes some 50 us, as long as half a million products.
    const int64_t grain = (1 << 19) / std::max<int64_t>(1, gemmColumns * k * m);
    parallelFor(tiles, grain, [&](int64_t begin, int64_t end) {
      thread_local std::vector<float> scratch;
      scratch.resize(std::max<size_t>(scratch.size(), gemmColumns * k));
      for (int64_t tile = begin; tile < end; ++tile) {
        const int64_t column = tile * gemmColumns;
        const auto *rows = static_cast<const char *>(w) + kernels::bytesOf(wType, column * k);
        gemmTile(m, std::min(gemmColumns, n - column), k, x, rows, wType, y + column, n, scratch.data());
      }
    });
  }

private:
  void runShares() {
    inside = true;
    try {
      for (int64_t begin; (begin = next.fetch_add(share)) < total;)
        (*job)(begin, std::min(begin + share, total));
    } catch (...) {
      next = total; // the rest is not wanted any more
      std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
    inside = false;
  }

  void work() {
    uint64_t seen = 0;
    std::unique_lock lock(mutex);
    for (;;) {
      wake.wait(lock, [&] { return stopping || generation != seen; });
      if (stopping)
        return;
      seen = generation;
      lock.unlock();
      runShares();
      lock.lock();
      if (--busy == 0)
        done.notify_one();
    }
  }

  std::vector<std::thread> workers;
  std::mutex mutex;
  std::condition_variable wake, done;
  bool stopping = false;
  uint64_t generation = 0;
  // The current job; changed only while every worker waits.
  const Body *job = nullptr;
  int64_t total = 0, share = 1;
  std::atomic<int64_t> next = 0;
  size_t busy = 0;
  std::exception_ptr failure;
  static thread_local bool inside; // in a body: a nested loop runs in place
};

thread_local bool HostMathImpl::inside = false;

} // namespace

std::unique_ptr<kernels::HostMath> makeHostMath(int threads) {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi2"))
    fail(Exit::Unsupported,
         "this CPU lacks AVX2 and FMA, which the CPU executor needs; use a GPU (--device cuda) or a CPU "
         "of 2013 or later");
#endif
  static std::once_flag once;
  std::call_once(once, initializeGemm);
  if (threads <= 0)
    threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  return std::make_unique<HostMathImpl>(threads);
}

} // namespace nanort
