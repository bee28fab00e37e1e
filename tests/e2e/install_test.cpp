// What `cmake --install` gives a user, and an embedding program that uses nothing else.
#include "tests/e2e/support.h"

#include "gtest/gtest.h"

#include <cstdlib>

namespace fs = std::filesystem;

namespace {

std::string shell(const std::string &command) {
  e2e::Scratch scratch;
  int status = std::system((command + " >" + (scratch / "log").string() + " 2>&1").c_str());
  std::string log = e2e::readFile(scratch / "log");
  EXPECT_EQ(status, 0) << command << "\n" << log;
  return log;
}

TEST(Install, EmbeddingExampleBuildsAgainstTheInstalledPackage) {
  e2e::Scratch scratch;
  fs::path prefix = scratch / "prefix";
  shell(std::string(NANO_CMAKE) + " --install " NANO_BUILD " --prefix " + prefix.string());
  for (const char *file : {"bin/nanocc", "bin/nanocc-import", "bin/nanort", "include/nanort/nanort.h"})
    EXPECT_TRUE(fs::exists(prefix / file)) << file;
  // Sanitized libraries need the sanitizer in the program too.
  shell(std::string(NANO_CMAKE) + " -S " NANO_SOURCE "/examples/embed -B " + (scratch / "build").string() +
        " -DCMAKE_PREFIX_PATH=" + prefix.string() + " && " NANO_CMAKE " --build " + (scratch / "build").string());
  auto plan = e2e::plan(e2e::lexicon() / "checkpoint", {"--target", "cpu", "--precision", "f32", "--batch", "1,4"});
  std::string answer =
      shell((scratch / "build/embed").string() + " " + plan.string() + " 'What is another word for big?'");
  EXPECT_NE(answer.find("Another word for big is large."), std::string::npos) << answer;
}

} // namespace
