// nanort: runs and examines plans that nanocc made.
#include "runtime/base/error.h"
#include "runtime/base/process.h"
#include "runtime/base/text.h"
#include "runtime/base/version.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <new>

namespace nanort::tools {

// The commands, each in the file of its name: it declares its flags and runs when chosen; it returns normally or throws
// nanort::Error.
void addRun(CLI::App &app);
void addEval(CLI::App &app);
void addInspect(CLI::App &app);
void addCheck(CLI::App &app);
void addBench(CLI::App &app);
void addTune(CLI::App &app);

static constexpr void (*commands[])(CLI::App &) = {addRun, addEval, addInspect, addCheck, addBench, addTune};

} // namespace nanort::tools

using namespace nanort;

static int complain(Exit code, std::string message) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  std::fprintf(stderr, "nanort: %s\n", message.c_str());
  return static_cast<int>(code);
}

int main(int argc, char **argv) {
  prepareProcess("nanort");
  CLI::App app("Runs and examines models that nanocc compiled.", "nanort");
  app.set_version_flag("--version", "nanort " + versionText());
  app.require_subcommand(1);
  app.footer("Exit codes: 0 ok, 1 internal, 2 flags, 3 input, 4 unsupported, 5 no device or program fits, 6 memory,\n"
             "7 a comparison found a difference, 8 CUDA failure.\nnanort COMMAND --help lists a command's flags.");
  for (const auto &add : tools::commands)
    add(app);
  for (CLI::App *command : app.get_subcommands({}))
    command->set_version_flag("--version", "nanort " + versionText());
  try {
    // CLI11 would only say that a command is missing.
    std::string commands;
    bool known = argc < 2 || argv[1][0] == '-';
    for (const CLI::App *command : app.get_subcommands({})) {
      commands += (commands.empty() ? "" : ", ") + command->get_name();
      known |= !known && command->get_name() == argv[1];
    }
    if (!known)
      fail(Exit::Usage, "unknown command " + quote(argv[1]) + "; it is one of " + commands);
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::Success &help) {
    app.exit(help);
    if (std::cout.flush() && std::fflush(stdout) == 0)
      return 0;
    return complain(Exit::Input, std::string("standard output cannot be written: ") + std::strerror(errno));
  } catch (const CLI::ParseError &error) {
    const auto chosen = app.get_subcommands();
    return complain(Exit::Usage, std::string(error.what()) + "; see nanort " +
                                     (chosen.empty() ? "" : chosen.front()->get_name() + " ") + "--help");
  } catch (const Error &error) {
    std::fflush(stdout);
    return complain(error.code, error.what());
  } catch (const std::bad_alloc &) {
    return complain(Exit::Memory, "out of memory");
  } catch (const std::exception &error) {
    return complain(Exit::Internal, error.what());
  }
}
