// A thread of control with a stack of its own, which runs until it suspends itself.
#pragma once

#include <csetjmp>
#include <functional>
#include <ucontext.h>

namespace emulator {

class Fiber {
public:
  explicit Fiber(std::function<void()> body);
  ~Fiber();
  Fiber(const Fiber &) = delete;
  Fiber &operator=(const Fiber &) = delete;

  /// Runs the body, or goes on with it, until suspend() or its end.
  void resume();
  /// Back to resume(); called by the body.
  void suspend();
  bool done() const { return ended; }

private:
  static void enter();

  std::function<void()> body;
  char *stack;
  ucontext_t start;
  jmp_buf inside, outside; // for switches after the first: swapcontext() costs two system calls
  bool started = false, ended = false;
};

} // namespace emulator
