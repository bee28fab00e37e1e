#include "codegen/Cache.h"
#include "runtime/base/error.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <unistd.h>

namespace fs = std::filesystem;

namespace {

/// Counts compilations; the "cubin" names what was compiled.
class FakeNvrtc : public codegen::Nvrtc {
public:
  std::string version() const override { return number; }
  std::vector<char> compile(const std::string &name, const std::string &source, const std::string &target) override {
    ++count;
    if (source == "bad")
      nanort::fail(nanort::Exit::Internal, "kernel " + name + " is bad");
    const std::string text = source + " for " + target;
    return {text.begin(), text.end()};
  }
  std::string number = "13.0";
  std::atomic<int> count = 0;
};

class CacheTest : public testing::Test {
protected:
  void SetUp() override {
    root = fs::path(testing::TempDir()) / ("nano-cache-" + std::to_string(getpid()));
    fs::remove_all(root);
  }
  void TearDown() override { fs::remove_all(root); }

  std::string compile(codegen::Cache &cache, const std::string &source, const std::string &target = "sm_90a") {
    const std::vector<char> cubin = cache.compile(nvrtc, "k", source, target);
    return {cubin.begin(), cubin.end()};
  }

  fs::path root;
  FakeNvrtc nvrtc;
};

TEST_F(CacheTest, CompilesOnceAcrossProcesses) {
  for (int i = 0; i < 3; ++i) {
    codegen::Cache cache = codegen::Cache::open(root / "deep" / "er");
    EXPECT_EQ(compile(cache, "a"), "a for sm_90a");
  }
  EXPECT_EQ(nvrtc.count, 1);
}

TEST_F(CacheTest, SourceTargetAndCompilerAreTheKey) {
  codegen::Cache cache = codegen::Cache::open(root);
  compile(cache, "a");
  EXPECT_EQ(compile(cache, "b"), "b for sm_90a");
  EXPECT_EQ(compile(cache, "a", "sm_80"), "a for sm_80");
  nvrtc.number = "12.9";
  compile(cache, "a");
  EXPECT_EQ(nvrtc.count, 4);
}

TEST_F(CacheTest, ADamagedEntryIsCompiledAgain) {
  codegen::Cache cache = codegen::Cache::open(root);
  compile(cache, "a");
  const fs::path entry = fs::directory_iterator(root)->path();
  for (uintmax_t size : {uintmax_t{0}, uintmax_t{5}, fs::file_size(entry) - 1}) {
    fs::resize_file(entry, size);
    EXPECT_EQ(compile(cache, "a"), "a for sm_90a");
  }
  std::fstream(entry, std::ios::in | std::ios::out | std::ios::binary).put('X');
  EXPECT_EQ(compile(cache, "a"), "a for sm_90a");
  EXPECT_EQ(nvrtc.count, 5);
}

TEST_F(CacheTest, AnUnwritableDirectoryIsNoError) {
  // A file in the way: unwritable for root too, who may write into a read-only directory.
  std::ofstream(root) << "in the way";
  codegen::Cache cache = codegen::Cache::open(root / "cache");
  EXPECT_EQ(compile(cache, "a"), "a for sm_90a");
  EXPECT_EQ(compile(cache, "a"), "a for sm_90a");
  EXPECT_EQ(nvrtc.count, 2);
  codegen::Cache proc = codegen::Cache::open("/proc/nano");
  EXPECT_EQ(compile(proc, "a"), "a for sm_90a");
}

TEST_F(CacheTest, EnvironmentNamesTheDirectory) {
  setenv("NANORT_CACHE_DIR", root.c_str(), 1);
  EXPECT_EQ(codegen::Cache::open().directory(), root);
  unsetenv("NANORT_CACHE_DIR");
  setenv("XDG_CACHE_HOME", root.c_str(), 1);
  EXPECT_EQ(codegen::Cache::open().directory(), root / "nanocc");
  unsetenv("XDG_CACHE_HOME");
  EXPECT_TRUE(codegen::Cache::disabled().directory().empty());
}

TEST_F(CacheTest, ManyKernelsComeInOrder) {
  codegen::Cache cache = codegen::Cache::open(root);
  std::vector<codegen::CompileJob> jobs;
  for (int i = 0; i < 40; ++i)
    jobs.push_back({"k", std::to_string(i % 25)}); // repeats may race for one entry
  const auto cubins = codegen::compileAll(cache, nvrtc, jobs, "sm_80");
  ASSERT_EQ(cubins.size(), jobs.size());
  for (size_t i = 0; i < jobs.size(); ++i)
    EXPECT_EQ(std::string(cubins[i].begin(), cubins[i].end()), jobs[i].source + " for sm_80");
  jobs[7].source = "bad";
  EXPECT_THROW(codegen::compileAll(cache, nvrtc, jobs, "sm_80"), nanort::Error);
}

} // namespace
