#include "runtime/base/file.h"
#include "runtime/base/sha256.h"
#include "tests/unit/base_errors.h"

#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>

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
