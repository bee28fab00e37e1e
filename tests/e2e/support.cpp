#include "tests/e2e/support.h"

#include "gtest/gtest.h"

#include <fcntl.h>
#include <map>
#include <sys/wait.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace e2e {

Result run(const std::string &tool, const std::vector<std::string> &arguments, const std::string &input) {
  // Files instead of pipes: a tool that prints more than a pipe holds cannot block.
  Scratch scratch;
  writeFile(scratch / "in", input);
  pid_t child = fork();
  if (child == 0) {
    dup2(open((scratch / "in").c_str(), O_RDONLY), 0);
    dup2(open((scratch / "out").c_str(), O_WRONLY | O_CREAT, 0600), 1);
    dup2(open((scratch / "err").c_str(), O_WRONLY | O_CREAT, 0600), 2);
    std::string path = std::string(NANO_BIN) + "/" + tool;
    std::vector<char *> argv{path.data()};
    for (const std::string &argument : arguments)
      argv.push_back(const_cast<char *>(argument.c_str()));
    argv.push_back(nullptr);
    execv(path.c_str(), argv.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return {code, readFile(scratch / "out"), readFile(scratch / "err")};
}

std::string output(const std::string &tool, const std::vector<std::string> &arguments) {
  Result result = run(tool, arguments);
  EXPECT_EQ(result.code, 0) << tool << ": " << result.err;
  return result.out;
}

fs::path golden(const std::string &name) { return fs::path(NANO_GOLDEN) / name; }
fs::path lexicon() { return fs::path(NANO_SOURCE) / "examples/lexicon"; }

static Scratch &shared() {
  static Scratch scratch;
  return scratch;
}

fs::path imported(const fs::path &checkpoint) {
  static std::map<fs::path, fs::path> done;
  auto [entry, fresh] = done.try_emplace(checkpoint, shared() / ("model" + std::to_string(done.size())));
  if (fresh)
    output("nanocc-import", {checkpoint.string(), "-o", entry->second.string()});
  return entry->second;
}

fs::path plan(const fs::path &checkpoint, const std::vector<std::string> &flags) {
  static std::map<std::pair<fs::path, std::vector<std::string>>, fs::path> done;
  fs::path folder = imported(checkpoint);
  auto [entry, fresh] = done.try_emplace({checkpoint, flags}, folder / ("plan" + std::to_string(done.size()) + ".fb"));
  if (fresh) {
    std::vector<std::string> arguments{(folder / "model.mlir").string(), "-o", entry->second.string()};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    output("nanocc", arguments);
  }
  return entry->second;
}

} // namespace e2e
