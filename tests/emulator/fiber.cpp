// With it, longjmp() takes a jump to another stack for an attack.
#undef _FORTIFY_SOURCE
#include "tests/emulator/fiber.h"

#include <mutex>
#include <new>
#include <sys/mman.h>
#include <vector>

namespace emulator {

namespace {

constexpr size_t stackBytes = 96 << 10, guardBytes = 4 << 10;

/// Stacks are kept for the next launch; below each lies a page that nobody may touch.
class Stacks {
public:
  char *take() {
    const std::lock_guard lock(mutex);
    if (!idle.empty()) {
      char *stack = idle.back();
      idle.pop_back();
      return stack;
    }
    void *memory =
        mmap(nullptr, stackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      throw std::bad_alloc();
    mprotect(memory, guardBytes, PROT_NONE);
    return static_cast<char *>(memory);
  }
  void put(char *stack) {
    const std::lock_guard lock(mutex);
    idle.push_back(stack);
  }

private:
  std::mutex mutex;
  std::vector<char *> idle;
};

Stacks &stacks() {
  static Stacks all;
  return all;
}

thread_local Fiber *starting;

} // namespace

Fiber::Fiber(std::function<void()> body) : body(std::move(body)), stack(stacks().take()) {}
Fiber::~Fiber() { stacks().put(stack); }

void Fiber::enter() {
  Fiber &fiber = *starting;
  fiber.body();
  fiber.ended = true;
  fiber.suspend();
}

void Fiber::resume() {
  if (_setjmp(outside) != 0)
    return;
  if (started)
    _longjmp(inside, 1);
  started = true;
  starting = this;
  getcontext(&start);
  start.uc_stack.ss_sp = stack + guardBytes;
  start.uc_stack.ss_size = stackBytes - guardBytes;
  start.uc_link = nullptr;
  makecontext(&start, enter, 0);
  setcontext(&start);
}

void Fiber::suspend() {
  if (_setjmp(inside) == 0)
    _longjmp(outside, 1);
}

} // namespace emulator
