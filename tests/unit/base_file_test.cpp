#include "runtime/base/file.h"
#include "runtime/base/outputs.h"
#include "runtime/base/process.h"
#include "runtime/base/sha256.h"
#include "tests/unit/base_errors.h"

#include <csignal>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace nanort;
using namespace nanotest;

TEST(AtomicFile, AppearsOnlyWhenCommitted) {
  TemporaryDirectory dir;
  writeFile(dir / "out", "old");
  {
    AtomicFile file(dir / "out");
    file.write("new text");
    EXPECT_EQ(readFile(dir / "out"), "old");
  }
  EXPECT_EQ(readFile(dir / "out"), "old");
  AtomicFile file(dir / "out");
  file.write("new text");
  file.commit();
  EXPECT_EQ(readFile(dir / "out"), "new text");
  EXPECT_EQ(filesIn(dir.path), 1u);
}

TEST(AtomicFile, FollowsLinksAndRespectsUmask) {
  TemporaryDirectory dir;
  writeFile(dir / "real", "old");
  std::filesystem::create_symlink("real", dir / "link");
  const mode_t before = umask(027);
  AtomicFile file(dir / "link");
  file.write("new");
  file.commit();
  umask(before);
  EXPECT_TRUE(std::filesystem::is_symlink(dir / "link"));
  EXPECT_EQ(readFile(dir / "real"), "new");
  struct stat status;
  ASSERT_EQ(stat((dir / "real").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST(AtomicFile, NamesTheReasonWhenItCannotWrite) {
  TemporaryDirectory dir;
  expectError(Exit::Input, "No such file", [&] { AtomicFile(dir / "missing/out"); });
  expectError(Exit::Input, "directory", [&] { AtomicFile(dir.path); });
  // /proc takes no files, even from root.
  EXPECT_THROW(AtomicFile("/proc/nanotest"), Error);
  AtomicFile full("/dev/full");
  expectError(Exit::Input, "No space left", [&] { full.write("text"); });
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

TEST(AtomicFile, SurvivesTheFileSizeLimit) {
  TemporaryDirectory dir;
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{4096, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  expectError(Exit::Input, "File too large", [&] {
    AtomicFile file(dir / "out");
    const std::string block(3000, 'x');
    for (int i = 0; i < 3; ++i)
      file.write(block);
    file.commit();
  });
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(filesIn(dir.path), 0u);
}

TEST(MappedFile, ReadsAndRefuses) {
  TemporaryDirectory dir;
  writeFile(dir / "text", "abc");
  writeFile(dir / "empty", "");
  EXPECT_EQ(MappedFile::open(dir / "text")->bytes().size(), 3u);
  EXPECT_TRUE(MappedFile::open(dir / "empty")->bytes().empty());
  expectError(Exit::Input, "No such file", [&] { MappedFile::open(dir / "missing"); });
  expectError(Exit::Input, "directory", [&] { MappedFile::open(dir.path); });
  expectError(Exit::Input, "regular file", [&] { MappedFile::open("/dev/zero"); });
  ASSERT_EQ(mkfifo((dir / "fifo").c_str(), 0600), 0);
  expectError(Exit::Input, "regular file", [&] { MappedFile::open(dir / "fifo"); });
}

TEST(ReadText, ReadsAndRefuses) {
  TemporaryDirectory dir;
  writeFile(dir / "text", std::string("a\0b", 3));
  EXPECT_EQ(readText(dir / "text"), std::string("a\0b", 3));
  expectError(Exit::Input, "directory", [&] { readText(dir.path); });
  expectError(Exit::Input, "No such file", [&] { readText(dir / "missing"); });
}

TEST(Sha256, MatchesTheStandardsExamples) {
  const auto hex = [](std::string_view text) { return toHex(sha256(std::as_bytes(std::span(text)))); };
  EXPECT_EQ(hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(AtomicFile, FollowsALinkThatLeadsToNoFileYet) {
  TemporaryDirectory dir;
  std::filesystem::create_symlink("middle", dir / "link");
  std::filesystem::create_symlink("real", dir / "middle");
  AtomicFile file(dir / "link");
  file.write("new");
  file.commit();
  EXPECT_TRUE(std::filesystem::is_symlink(dir / "link"));
  EXPECT_TRUE(std::filesystem::is_symlink(dir / "middle"));
  EXPECT_EQ(readFile(dir / "real"), "new");
}

// What is old and nobody has locked was left by a process that was killed.
TEST(AtomicFile, RemovesWhatKilledProcessesLeft) {
  TemporaryDirectory dir;
  const auto old = std::filesystem::file_time_type::clock::now() - std::chrono::minutes(5);
  for (const char *name : {".nano-1-0.tmp", ".nano-2-0.tmp", ".nano-3-0.tmp", "nano-4-0.tmp"}) {
    writeFile(dir / name, "part");
    if (std::string(name) != ".nano-3-0.tmp") // has just been begun
      std::filesystem::last_write_time(dir / name, old);
  }
  const int writer = open((dir / ".nano-2-0.tmp").c_str(), O_RDONLY);
  ASSERT_EQ(flock(writer, LOCK_EX), 0);
  { const AtomicFile file(dir / "out"); }
  close(writer);
  EXPECT_FALSE(std::filesystem::exists(dir / ".nano-1-0.tmp"));
  for (const char *name : {".nano-2-0.tmp", ".nano-3-0.tmp", "nano-4-0.tmp"})
    EXPECT_TRUE(std::filesystem::exists(dir / name)) << name;
}

/// How a process ends that has begun a file and gets the signal; `ignored` by whoever started it.
static int endedBy(int signal, const TemporaryDirectory &dir, bool ignored) {
  const pid_t child = fork();
  if (child == 0) {
    if (ignored)
      std::signal(signal, SIG_IGN);
    prepareProcess("test");
    AtomicFile file(dir / "out");
    file.write("part");
    raise(signal);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST(AtomicFile, LeavesNothingBehindWhenASignalEndsTheProcess) {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    TemporaryDirectory dir;
    const int status = endedBy(signal, dir, false);
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal) << status;
    EXPECT_EQ(filesIn(dir.path), 0u) << signal;
  }
  TemporaryDirectory dir;
  const int status = endedBy(SIGHUP, dir, true);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "nohup is respected";
}

TEST(Process, EndsByNameWhereAMappedFileWasCut) {
  TemporaryDirectory dir;
  writeFile(dir / "weights", std::string(1 << 16, 'x'));
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(pipes[1], STDERR_FILENO);
    prepareProcess("test");
    const auto file = MappedFile::open(dir / "weights");
    if (truncate((dir / "weights").c_str(), 10) != 0)
      _exit(1);
    _exit(static_cast<int>(file->bytes()[40000]) == 0 ? 1 : 2);
  }
  close(pipes[1]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == static_cast<int>(Exit::Input)) << status;
  std::string text;
  char piece[128];
  for (ssize_t count; (count = read(pipes[0], piece, sizeof piece)) > 0;)
    text.append(piece, static_cast<size_t>(count));
  close(pipes[0]);
  EXPECT_EQ(text, "test: cannot read '" + (dir / "weights").string() +
                      "': it was cut while in use; put a new file in its place instead of changing it\n");
}

TEST(Process, MissingStreamsAreTaken) {
  TemporaryDirectory dir;
  const pid_t child = fork();
  if (child == 0) {
    for (int stream : {0, 1, 2})
      close(stream);
    prepareProcess("test");
    char byte = 0;
    const bool fails = read(0, &byte, 1) < 0 && write(1, &byte, 1) < 0 && write(2, &byte, 1) == 1;
    AtomicFile file(dir / "out"); // has another number, or it would hold what goes to standard output
    file.write("file");
    file.commit();
    _exit(fails ? 7 : 8);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7) << status;
  EXPECT_EQ(readFile(dir / "out"), "file");
}

TEST(ReadText, RefusesAFifoWithoutWaiting) {
  TemporaryDirectory dir;
  ASSERT_EQ(mkfifo((dir / "fifo").c_str(), 0600), 0);
  expectError(Exit::Input, "it is a FIFO", [&] { readText(dir / "fifo"); });
}

TEST(Outputs, ReplaceNoInputByWhateverName) {
  TemporaryDirectory dir;
  writeFile(dir / "plan", "x");
  std::filesystem::create_directory(dir / "sub");
  std::filesystem::create_symlink("plan", dir / "link");
  std::filesystem::create_hard_link(dir / "plan", dir / "hard");
  const std::vector<NamedPath> inputs = {{"the plan", dir / "plan"}, {"the weights", dir / "absent"}, {"ids", ""}};
  for (const char *name : {"plan", "link", "hard", "sub/../plan"})
    expectError(Exit::Usage, "--logits '" + (dir / name).string() + "' would replace the ", [&] {
      checkOutputs(inputs, {{"-o", ""}, {"--logits", dir / name}});
    });
  checkOutputs(inputs,
               {{"-o", dir / "absent"}, {"--logits", dir / "sub"}, {"-a", "-"}, {"-b", "/dev/null"}, {"-c", ""}});
}

TEST(Outputs, ReplaceNoOtherOutput) {
  TemporaryDirectory dir;
  std::filesystem::create_symlink("x", dir / "dangling");
  for (const char *name : {"x", "./x", "dangling"})
    expectError(Exit::Usage, "would replace -o", [&] {
      checkOutputs({}, {{"-o", dir / "x"}, {"--report-file", dir / name}});
    });
  checkOutputs({}, {{"-o", "-"}, {"--report-file", "-"}, {"-a", "/dev/null"}, {"-b", "/dev/null"}});
}
