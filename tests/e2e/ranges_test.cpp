// What a profiler sees of a run: the named phases, and nothing where none is attached.
#include "tests/e2e/support.h"

#include "gtest/gtest.h"

#include <map>
#include <sstream>

namespace {

class Ranges : public testing::Test {
protected:
  ~Ranges() override {
    for (const char *name : {"NVTX_INJECTION64_PATH", "NVTX_FAKE_OUTPUT", "NANORT_CUDA_DRIVER", "NANORT_CUBLASLT",
                             "NANORT_NVRTC", "NANORT_CACHE_DIR"})
      unsetenv(name);
  }

  /// How often each range begins in a run of nanort under the fake profiler; they must nest.
  std::map<std::string, int> rangesOf(const std::vector<std::string> &arguments) {
    setenv("NVTX_INJECTION64_PATH", NANO_FAKE_NVTX, 1);
    setenv("NVTX_FAKE_OUTPUT", (scratch / "ranges").c_str(), 1);
    const e2e::Result result = e2e::run("nanort", arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    std::map<std::string, int> begun;
    int open = 0;
    std::istringstream lines(e2e::readFile(scratch / "ranges"));
    for (std::string line; std::getline(lines, line);) {
      if (line[0] == '+')
        ++begun[line.substr(1)];
      open += line[0] == '+' ? 1 : -1;
      EXPECT_GE(open, 0);
    }
    EXPECT_EQ(open, 0);
    return begun;
  }

  e2e::Scratch scratch;
};

TEST_F(Ranges, NameThePhasesOfARequest) {
  const std::string plan = e2e::plan(e2e::golden("classic-mha"), {"--target", "cpu"}).string();
  auto begun = rangesOf({"run", plan, "--device", "cpu", "--ids", "1,2,3", "-n", "4", "--no-stop", "-q"});
  EXPECT_EQ(begun["load"], 1);
  EXPECT_EQ(begun["generate"], 1);
  EXPECT_EQ(begun["prefill"], 1);
  EXPECT_EQ(begun["decode step"], 3);
}

TEST_F(Ranges, NameTheUploadToADevice) {
  for (const char *name : {"NANORT_CUDA_DRIVER", "NANORT_CUBLASLT", "NANORT_NVRTC"})
    setenv(name, NANO_FAKE_CUDA, 1);
  setenv("NANORT_CACHE_DIR", scratch.path.c_str(), 1); // the fake's images are nobody else's
  const std::string plan = e2e::plan(e2e::golden("classic-mha"), {"--target", "sm_90a"}).string();
  auto begun = rangesOf(
      {"bench", plan, "--random-weights", "1", "--prompt", "4", "--new", "2", "--repeat", "1", "--mode", "graph"});
  EXPECT_EQ(begun["load"], 1);
  EXPECT_EQ(begun["upload"], 1);
  EXPECT_EQ(begun["decode step"], 2); // one to warm up
}

TEST_F(Ranges, AProfilerThatIsNotThereChangesNothing) {
  const std::string plan = e2e::plan(e2e::golden("classic-mha"), {"--target", "cpu"}).string();
  const std::vector<std::string> arguments = {"run", plan, "--device", "cpu", "--ids", "1,2,3", "-n", "4", "-q"};
  const e2e::Result plain = e2e::run("nanort", arguments);
  setenv("NVTX_FAKE_OUTPUT", (scratch / "ranges").c_str(), 1);
  EXPECT_EQ(e2e::run("nanort", arguments).out, plain.out);
  EXPECT_FALSE(std::filesystem::exists(scratch / "ranges"));
  setenv("NVTX_INJECTION64_PATH", "/nonexistent/profiler.so", 1);
  const e2e::Result missing = e2e::run("nanort", arguments);
  EXPECT_EQ(missing.code, 0);
  EXPECT_EQ(missing.out, plain.out);
}

} // namespace
