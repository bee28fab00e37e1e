#include "runtime/base/process.h"

#include "runtime/base/error.h"
#include "runtime/base/file.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace nanort {

static void endBy(int signal) {
  removeTemporaries();
  ::signal(signal, SIG_DFL);
  ::raise(signal);
}

static const char *programName = "";

static void say(const char *text) { (void)!::write(STDERR_FILENO, text, std::strlen(text)); }

static void endByBus(int signal, siginfo_t *info, void *) {
  const char *file = nameOfMapping(info->si_addr);
  if (!file)
    return endBy(signal);
  for (const char *text : {programName, ": cannot read '", file,
                           "': it was cut while in use; put a new file in its place instead of changing it\n"})
    say(text);
  removeTemporaries();
  ::_exit(static_cast<int>(Exit::Input));
}

void prepareProcess(const char *program) {
  programName = program;
  for (int stream = STDIN_FILENO; stream <= STDERR_FILENO; ++stream)
    if (::fcntl(stream, F_GETFD) < 0 && errno == EBADF)
      // Lower numbers are taken, so this gets the stream's. The first two the wrong way round: what is read or written
      // is an error; nobody wants to know what is said.
      (void)::open("/dev/null", stream == STDOUT_FILENO ? O_RDONLY : O_WRONLY);
  struct sigaction bus = {};
  bus.sa_sigaction = endByBus;
  bus.sa_flags = SA_SIGINFO;
  ::sigaction(SIGBUS, &bus, nullptr);
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before = {};
    if (::sigaction(signal, nullptr, &before) != 0 || before.sa_handler == SIG_IGN)
      continue; // as nohup wants it
    struct sigaction action = {};
    action.sa_handler = endBy;
    ::sigaction(signal, &action, nullptr);
  }
}

} // namespace nanort
